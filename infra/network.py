"""The private network (optional), through which only the app reaches the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import dbforpostgresql, network, privatedns

from infra.deployment import Deployment

_APP: Final = "app"
_ENDPOINTS: Final = "endpoints"
_POSTGRES_ZONE: Final = "privatelink.postgres.database.azure.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateNetwork:
    """A virtual network with one subnet for the app's instances and one for private endpoints."""

    virtual_network: network.VirtualNetwork
    app_subnet_id: pulumi.Output[str]
    endpoint_subnet_id: pulumi.Output[str]


def create_network(deployment: Deployment) -> PrivateNetwork:
    """Create the network. The subnets are part of it, since Azure rejects concurrent changes to a network."""
    virtual_network = network.VirtualNetwork(
        "network",
        resource_group_name=deployment.group.name,
        virtual_network_name=deployment.names.of("vnet"),
        address_space=network.AddressSpaceArgs(address_prefixes=["10.20.0.0/16"]),
        subnets=[
            network.SubnetArgs(
                name=_APP,
                address_prefix="10.20.0.0/24",
                # instances of Flex Consumption run in this service's environments
                delegations=[network.DelegationArgs(name=_APP, service_name="Microsoft.App/environments")],
                # to storage, hub and identity provider; a subnet with a delegation cannot be without it
                default_outbound_access=True,
            ),
            network.SubnetArgs(name=_ENDPOINTS, address_prefix="10.20.1.0/24", default_outbound_access=False),
        ],
    )
    subnets = virtual_network.id.apply(lambda id_: f"{id_}/subnets/")
    return PrivateNetwork(
        virtual_network=virtual_network,
        app_subnet_id=pulumi.Output.concat(subnets, _APP),
        endpoint_subnet_id=pulumi.Output.concat(subnets, _ENDPOINTS),
    )


def create_database_endpoint(
    deployment: Deployment,
    private: PrivateNetwork,
    server: dbforpostgresql.Server,
    after: pulumi.Resource,
) -> pulumi.Resource:
    """Give the server a private address to which its usual host name resolves. `after` is the last change to it."""
    group = deployment.group.name
    zone = privatedns.PrivateZone(
        "database-zone", resource_group_name=group, private_zone_name=_POSTGRES_ZONE, location="Global"
    )
    link = privatedns.VirtualNetworkLink(
        "database-zone-link",
        resource_group_name=group,
        private_zone_name=zone.name,
        virtual_network_link_name=_APP,
        location="Global",
        registration_enabled=False,
        virtual_network=privatedns.SubResourceArgs(id=private.virtual_network.id),
    )
    endpoint = network.PrivateEndpoint(
        "database-endpoint",
        resource_group_name=group,
        private_endpoint_name=deployment.names.of("pe-psql"),
        subnet=network.SubnetArgs(id=private.endpoint_subnet_id),
        private_link_service_connections=[
            network.PrivateLinkServiceConnectionArgs(
                name="database", private_link_service_id=server.id, group_ids=["postgresqlServer"]
            )
        ],
        opts=pulumi.ResourceOptions(depends_on=[after]),
    )
    return network.PrivateDnsZoneGroup(
        "database-endpoint-name",
        resource_group_name=group,
        private_endpoint_name=endpoint.name,
        private_dns_zone_group_name="default",
        private_dns_zone_configs=[network.PrivateDnsZoneConfigArgs(name="database", private_dns_zone_id=zone.id)],
        opts=pulumi.ResourceOptions(depends_on=[link]),
    )
