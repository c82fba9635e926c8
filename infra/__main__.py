"""The resources that `pulumi up` creates, from top to bottom.

    people --> function app --> database      the truth
                  |   ^    `--> hub           updates for browsers
                  v   |
                storage: queues (wake-ups) and blobs (files)

No part has a key of another: each grants access to the app's identity. `infra/profiles.py` has the sizes.
"""

from __future__ import annotations

import pulumi

from infra.alerts import create_alerts
from infra.app_settings import app_settings
from infra.database import apply_schema, create_database
from infra.deployment import begin_deployment
from infra.function_app import create_app
from infra.identity import create_identity, grant_roles
from infra.invite_links import InviteLinks
from infra.locks import create_locks
from infra.monitoring import create_action_group, create_budget, create_monitoring
from infra.network import create_database_endpoint, create_network
from infra.outputs import export_outputs
from infra.publish.resource import publish_code
from infra.registered_queues import registered_queues
from infra.signalr import create_hub
from infra.storage import RESULTS, UPLOADS, create_account, create_containers, create_queues
from infra.workbook import create_workbook

deployment = begin_deployment()
settings = deployment.settings

# The application's identity, and its logs.
identity = create_identity(deployment)
monitoring = create_monitoring(deployment)

# Storage: a queue and a poison queue for each kind of job in functions/jobs/, and the blob containers.
account = create_account(deployment)
containers = create_containers(deployment, account)
queues = create_queues(deployment, account, registered_queues())

# The hub, and the database; in a private network, the database has a private address only.
hub = create_hub(deployment)
network = create_network(deployment) if settings.private_network else None
database = create_database(deployment)
reachable = (
    create_database_endpoint(deployment, network, database.server, after=database.ready) if network else database.ready
)

# Locks against accidental deletion: before what uses the data, so that they are the last to go.
locks = create_locks(
    deployment, {"uploads": containers[UPLOADS], "results": containers[RESULTS], "database": database.jobs}
)

# The deployer creates the tables and the app's role, which may only read and write rows.
schema = apply_schema(deployment, database, identity, after=reachable)

# All roles are granted before the app is created.
grants = grant_roles(deployment, identity, account=account, hub=hub, telemetry=monitoring.component)

# The app, then its code: unchanged code is not published again.
links = None if settings.oidc else InviteLinks("invite-links")
environment = app_settings(
    deployment, identity, account=account, database=database, hub=hub, telemetry=monitoring.component, links=links
)
app = create_app(
    deployment, identity, environment, private=network, after=[*grants, *containers.values(), *queues, *locks, schema]
)
code = publish_code(deployment, app)

# Alerts and budget.
operators = create_action_group(deployment)
create_alerts(deployment, operators, monitoring=monitoring, server=database.server, hub=hub)
create_budget(deployment, operators)
if settings.workbook:
    create_workbook(deployment, monitoring)

if settings.profile.protected and not settings.private_network:
    pulumi.log.warn(
        "privateNetwork is false: any workload in Azure can reach the database port, where only Entra tokens are "
        "accepted. docs/reference/infrastructure.md describes the requirements of true."
    )
export_outputs(deployment, app, database, code, links)
