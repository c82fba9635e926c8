"""The database: Azure Database for PostgreSQL, without passwords. Changes are applied one at a time.

The server processes one change at a time and rejects a second one with `ServerIsBusy`, so each resource waits for the
previous one.
"""

from __future__ import annotations

import hashlib
from typing import Final

import pulumi
from pulumi_azure_native import dbforpostgresql, network

from infra.database_setup import DatabaseSetup
from infra.deployment import Deployment, Part
from infra.identity import Identity
from infra.network import Network
from queued_jobs.schema import migrations

NAME: Final = "jobs"
_PORT: Final = 5432


class Database(Part):
    """The server with its database, and the one principal that may change the schema; `private`: without a public door.

    The deployer creates the tables and the app's role, which may only read and write rows.
    """

    def __init__(self, name: str, deployment: Deployment, *, identity: Identity, private: Network | None) -> None:
        super().__init__(name, deployment)
        group, settings = deployment.group.name, deployment.settings
        self.server = self._create_server()
        self.host = self.server.fully_qualified_domain_name
        database = dbforpostgresql.Database(
            "database",
            resource_group_name=group,
            server_name=self.server.name,
            database_name=NAME,
            charset="UTF8",
            collation="en_US.utf8",
            opts=self.child(),
        )
        self.lock("database", database)
        last: pulumi.Resource = database
        for rule, address in self._let_in().items():
            last = dbforpostgresql.FirewallRule(
                f"let-in-{rule}",
                resource_group_name=group,
                server_name=self.server.name,
                firewall_rule_name=rule,
                start_ip_address=address,
                end_ip_address=address,
                opts=self.child(last),
            )
        last = dbforpostgresql.AdministratorsMicrosoftEntra(
            "database-admin",
            resource_group_name=group,
            server_name=self.server.name,
            object_id=settings.database_admin.object_id,
            principal_name=settings.database_admin.name,
            principal_type=settings.database_admin.type,
            tenant_id=deployment.tenant_id,
            opts=self.child(last),
        )
        if private is not None:
            last = self._create_endpoint(private, last)
        self._apply_schema(identity, last)
        self.register_outputs({"host": self.host})

    def _create_server(self) -> dbforpostgresql.Server:
        settings, profile = self.deployment.settings, self.deployment.settings.profile
        # Azure chooses the zones, and exchanges them at a failover
        zones = pulumi.ResourceOptions(ignore_changes=["availabilityZone", "highAvailability.standbyAvailabilityZone"])
        return dbforpostgresql.Server(
            "postgres",
            resource_group_name=self.deployment.group.name,
            server_name=self.deployment.names.of("psql"),
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
                tenant_id=self.deployment.tenant_id,
            ),
            opts=pulumi.ResourceOptions.merge(self.child(), zones),
        )

    def _let_in(self) -> dict[str, str]:
        settings = self.deployment.settings
        if settings.private_network:
            return {}
        # Azure's notation for "any workload in Azure": instances of the app have no fixed addresses
        rules = {"azure": "0.0.0.0"}  # noqa: S104 (an address of a rule, nothing listens)
        return rules | ({"deployer": settings.deployer_ip} if settings.deployer_ip is not None else {})

    def _create_endpoint(self, private: Network, last: pulumi.Resource) -> pulumi.Resource:
        """Give the server a private address to which its usual host name resolves."""
        group = self.deployment.group.name
        endpoint = network.PrivateEndpoint(
            "database-endpoint",
            resource_group_name=group,
            private_endpoint_name=self.deployment.names.of("pe-psql"),
            subnet=network.SubnetArgs(id=private.endpoint_subnet_id),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name="database", private_link_service_id=self.server.id, group_ids=["postgresqlServer"]
                )
            ],
            opts=self.child(last),
        )
        return network.PrivateDnsZoneGroup(
            "database-endpoint-name",
            resource_group_name=group,
            private_endpoint_name=endpoint.name,
            private_dns_zone_group_name="default",
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(name="database", private_dns_zone_id=private.database_zone_id)
            ],
            opts=self.child(private),
        )

    def _apply_schema(self, identity: Identity, last: pulumi.Resource) -> None:
        """Apply role, migrations and grants as the deployer: in Azure, or in a rehearsal."""
        rehearsal = self.deployment.settings.rehearsal
        DatabaseSetup(
            "schema",
            host=rehearsal.postgres_host if rehearsal else self.host,
            port=rehearsal.postgres_port if rehearsal else _PORT,
            sslmode=rehearsal.postgres_sslmode if rehearsal else "verify-full",
            database=NAME,
            admin=self.deployment.settings.database_admin.name,
            role=identity.name,
            role_object_id=identity.principal_id,
            migrations_digest=_migrations_digest(),
            opts=self.child(last),
        )


def _migrations_digest() -> str:
    """Return a digest of all migrations: a new one means that there are migrations to apply."""
    digest = hashlib.sha256()
    for _, name, text in migrations():
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()
