"""What `pulumi up` stands up, from top to bottom.

    people --> function app --> database      the truth
                  |   ^    `--> hub           news for browsers
                  v   |
                storage: queues (wake-ups) and blobs (files)

No part knows a key of another: each lets the app's identity in. `infra/profiles.py` has the sizes.
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
from infra.storage import create_account, create_containers, create_queues
from infra.validators import NOBODY
from infra.workbook import create_workbook

deployment = begin_deployment()
settings = deployment.settings

# Who the application is, and where its logs go to.
identity = create_identity(deployment)
monitoring = create_monitoring(deployment)

# Storage: two queues for each kind of job in functions/jobs/, and the containers of the files.
account = create_account(deployment)
stored = [*create_containers(deployment, account), *create_queues(deployment, account, registered_queues())]

# The hub, and the database; privately, the database has an address in our own network only.
hub = create_hub(deployment)
network = create_network(deployment) if settings.private_network else None
database = create_database(deployment)
reachable = (
    create_database_endpoint(deployment, network, database.server, after=database.ready) if network else database.ready
)

# The deployer makes tables and the app's own role, which may change rows and nothing else.
schema = apply_schema(deployment, database, identity, after=reachable)

# All that the app may do is granted before the app is there.
grants = grant_roles(deployment, identity, account=account, hub=hub, telemetry=monitoring.component)

# The app, then its code: the same code again publishes nothing.
links = None if settings.oidc else InviteLinks("invite-links")
environment = app_settings(
    deployment, identity, account=account, database=database, hub=hub, telemetry=monitoring.component, links=links
)
app = create_app(deployment, identity, environment, private=network, after=[*grants, *stored, schema])
code = publish_code(deployment, app)

# Who hears of trouble and of money, and what nobody deletes by accident.
operators = create_action_group(deployment)
create_alerts(deployment, operators, monitoring=monitoring, server=database.server, hub=hub)
create_budget(deployment, operators)
if settings.workbook:
    create_workbook(deployment, monitoring)
create_locks(deployment, {"storage": account, "database": database.server}, after=schema)

if settings.database_admin.object_id == NOBODY and settings.rehearsal is None:
    pulumi.log.warn(
        "databaseAdminObjectId is that of the sample, so Azure will refuse it when the database has been made: set the "
        "object id of who deploys, or let ./scripts/deploy do it."
    )
if settings.profile.protected and not settings.private_network:
    pulumi.log.warn(
        "privateNetwork is false: whatever runs in Azure may knock at the database's port, where only Entra tokens are "
        "accepted. docs/reference/infrastructure.md says what true needs."
    )
export_outputs(deployment, app, database, code, links)
