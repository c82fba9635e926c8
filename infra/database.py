"""The database: Azure Database for PostgreSQL, without passwords. Changes are applied one at a time.

The server processes one change at a time and rejects a second one with `ServerIsBusy`, so each part waits for the
previous one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import dbforpostgresql, managedidentity

from infra.database_setup import DatabaseSetup
from infra.deployment import Deployment
from queued_jobs.schema import migrations

NAME: Final = "jobs"
_PORT: Final = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The server with its database, and the last change to it, which later changes have to wait for."""

    server: dbforpostgresql.Server
    jobs: dbforpostgresql.Database
    ready: pulumi.Resource

    @property
    def host(self) -> pulumi.Output[str]:
        return self.server.fully_qualified_domain_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address at which the deployer reaches the database: in Azure, or in a rehearsal."""

    host: pulumi.Input[str]
    port: int
    sslmode: str


def create_database(deployment: Deployment) -> Database:
    """Create the server, its database, its firewall rules, and the one principal that may change the schema."""
    settings = deployment.settings
    group = deployment.group.name
    server = _create_server(deployment)
    jobs = dbforpostgresql.Database(
        "database",
        resource_group_name=group,
        server_name=server.name,
        database_name=NAME,
        charset="UTF8",
        collation="en_US.utf8",
        opts=deployment.guarded(),
    )
    last: pulumi.Resource = jobs
    for name, address in _let_in(deployment).items():
        last = dbforpostgresql.FirewallRule(
            f"let-in-{name}",
            resource_group_name=group,
            server_name=server.name,
            firewall_rule_name=name,
            start_ip_address=address,
            end_ip_address=address,
            opts=pulumi.ResourceOptions(depends_on=[last]),
        )
    admin = dbforpostgresql.AdministratorsMicrosoftEntra(
        "database-admin",
        resource_group_name=group,
        server_name=server.name,
        object_id=settings.database_admin.object_id,
        principal_name=settings.database_admin.name,
        principal_type=settings.database_admin.type,
        tenant_id=deployment.tenant_id,
        opts=pulumi.ResourceOptions(depends_on=[last]),
    )
    return Database(server=server, jobs=jobs, ready=admin)


def apply_schema(
    deployment: Deployment,
    database: Database,
    identity: managedidentity.UserAssignedIdentity,
    *,
    after: pulumi.Resource,
) -> DatabaseSetup:
    """Apply role, migrations and grants as the deployer, after `after`, which makes the database reachable."""
    endpoint = _deployer_endpoint(deployment, database)
    return DatabaseSetup(
        "schema",
        host=endpoint.host,
        port=endpoint.port,
        sslmode=endpoint.sslmode,
        database=NAME,
        admin=deployment.settings.database_admin.name,
        role=identity.name,
        role_object_id=identity.principal_id,
        migrations_digest=_migrations_digest(),
        opts=pulumi.ResourceOptions(depends_on=[after]),
    )


def _deployer_endpoint(deployment: Deployment, database: Database) -> Endpoint:
    """Return the endpoint for roles, migrations and grants."""
    rehearsal = deployment.settings.rehearsal
    if rehearsal is not None:
        return Endpoint(host=rehearsal.postgres_host, port=rehearsal.postgres_port, sslmode=rehearsal.postgres_sslmode)
    return Endpoint(host=database.host, port=_PORT, sslmode="verify-full")


def _migrations_digest() -> str:
    """Return a digest of all migrations: a new one means that there are migrations to apply."""
    digest = hashlib.sha256()
    for _, name, text in migrations():
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()


def _create_server(deployment: Deployment) -> dbforpostgresql.Server:
    settings, profile = deployment.settings, deployment.settings.profile
    return dbforpostgresql.Server(
        "postgres",
        resource_group_name=deployment.group.name,
        server_name=deployment.names.of("psql"),
        version="17",
        sku=dbforpostgresql.SkuArgs(name=profile.database_size, tier=profile.database_tier),
        storage=dbforpostgresql.StorageArgs(storage_size_gb=profile.database_gigabytes, auto_grow="Enabled"),
        backup=dbforpostgresql.BackupArgs(
            backup_retention_days=profile.keep_backups.days,
            geo_redundant_backup="Enabled" if profile.geo_redundant_backups else "Disabled",
        ),
        high_availability=dbforpostgresql.HighAvailabilityArgs(
            mode="ZoneRedundant" if settings.zone_redundant_database else "Disabled"
        ),
        network=dbforpostgresql.NetworkArgs(
            public_network_access="Disabled" if settings.private_network else "Enabled"
        ),
        # passwords are enabled by default
        auth_config=dbforpostgresql.AuthConfigArgs(
            active_directory_auth="Enabled",
            password_auth="Disabled",  # noqa: S106 (the word says that there is none)
            tenant_id=deployment.tenant_id,
        ),
        # Azure chooses the zones, and exchanges them at a failover
        opts=pulumi.ResourceOptions.merge(
            deployment.guarded(),
            pulumi.ResourceOptions(ignore_changes=["availabilityZone", "highAvailability.standbyAvailabilityZone"]),
        ),
    )


def _let_in(deployment: Deployment) -> dict[str, str]:
    settings = deployment.settings
    if settings.private_network:
        return {}
    # Azure's notation for "any workload in Azure": instances of the app have no fixed addresses
    rules = {"azure": "0.0.0.0"}  # noqa: S104 (an address of a rule, nothing listens)
    if settings.deployer_ip is not None:
        rules["deployer"] = settings.deployer_ip
    return rules
