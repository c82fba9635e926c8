"""Tables and rights: applied by the deployer, since the app's own role may not change any table."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import managedidentity

from infra.database import NAME, Database, deployer_endpoint, migrations_digest
from infra.database_setup import DatabaseSetup
from infra.deployment import Deployment


def apply_schema(
    deployment: Deployment,
    database: Database,
    identity: managedidentity.UserAssignedIdentity,
    *,
    after: pulumi.Resource,
) -> DatabaseSetup:
    """Apply role, migrations and grants once the database can be reached (`after`)."""
    endpoint = deployer_endpoint(deployment, database)
    return DatabaseSetup(
        "schema",
        host=endpoint.host,
        port=endpoint.port,
        sslmode=endpoint.sslmode,
        database=NAME,
        admin=deployment.settings.database_admin.name,
        role=identity.name,
        role_object_id=identity.principal_id,
        migrations_digest=migrations_digest(),
        opts=pulumi.ResourceOptions(depends_on=[after]),
    )
