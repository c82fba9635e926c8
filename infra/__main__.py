"""The resources that `pulumi up` creates, from top to bottom.

    people --> function app --> database      the truth
                  |   ^    `--> hub           updates for browsers
                  v   |
                storage: queues (wake-ups) and blobs (files)

No part has a key of another: each grants access to the app's identity. `infra/profiles.py` has the sizes.
"""

from __future__ import annotations

import pulumi

from infra.alerts import Alerts
from infra.app import App
from infra.database import Database
from infra.deployment import begin_deployment
from infra.hub import Hub
from infra.identity import Identity
from infra.monitoring import Monitoring
from infra.network import Network
from infra.registered_queues import registered_queues
from infra.storage import Storage

deployment = begin_deployment()
settings, names = deployment.settings, deployment.names

identity = Identity("identity", deployment)
monitoring = Monitoring("monitoring", deployment, identity=identity)
# a queue and a poison queue for each kind of job in functions/jobs/
storage = Storage("storage", deployment, identity=identity, queues=registered_queues())
hub = Hub("hub", deployment, identity=identity)
network = Network("network", deployment) if settings.private_network else None
database = Database("database", deployment, identity=identity, private=network)
app = App(
    "app",
    deployment,
    identity=identity,
    storage=storage,
    database=database,
    hub=hub,
    monitoring=monitoring,
    private=network,
)
Alerts("alerts", deployment, monitoring=monitoring, database=database, hub=hub)

if settings.profile.protected and not settings.private_network:
    pulumi.log.warn(
        "privateNetwork is false: any workload in Azure can reach the database port, where only Entra tokens are "
        "accepted. docs/reference/infrastructure.md describes the requirements of true."
    )

portal = f"https://portal.azure.com/#@{deployment.tenant_id}/resource/subscriptions/{deployment.subscription_id}"
pulumi.export("siteUrl", app.url)
pulumi.export("resourceGroup", names.resource_group)
pulumi.export("portalUrl", f"{portal}/resourceGroups/{names.resource_group}")
pulumi.export("functionApp", names.function_app)
pulumi.export("storageAccount", names.storage_account)
pulumi.export("databaseHost", database.host)
pulumi.export("deploymentId", app.code.deployment_id)
if app.links is not None:
    # in the fragment, so that they reach the page but no server log; marked as secret
    pulumi.export("openUrl", pulumi.Output.format("{}/#invite={}", names.site, app.links.invite))
    pulumi.export("adminUrl", pulumi.Output.format("{}/#invite={}", names.site, app.links.admin_invite))
