"""The private network (optional), through which only the app reaches the database."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_azure_native import network, privatedns

from infra.deployment import Deployment, Part

_APP: Final = "app"
_ENDPOINTS: Final = "endpoints"
_POSTGRES_ZONE: Final = "privatelink.postgres.database.azure.com"


class Network(Part):
    """A network with one subnet for the app's instances and one for private endpoints, and the names of databases.

    The subnets are part of the network, since Azure rejects concurrent changes to it.
    """

    def __init__(self, name: str, deployment: Deployment) -> None:
        super().__init__(name, deployment)
        group = deployment.group.name
        virtual_network = network.VirtualNetwork(
            "network",
            resource_group_name=group,
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
            opts=self.child(),
        )
        zone = privatedns.PrivateZone(
            "database-zone",
            resource_group_name=group,
            private_zone_name=_POSTGRES_ZONE,
            location="Global",
            opts=self.child(),
        )
        privatedns.VirtualNetworkLink(
            "database-zone-link",
            resource_group_name=group,
            private_zone_name=zone.name,
            virtual_network_link_name=_APP,
            location="Global",
            registration_enabled=False,
            virtual_network=privatedns.SubResourceArgs(id=virtual_network.id),
            opts=self.child(),
        )
        subnets = pulumi.Output.concat(virtual_network.id, "/subnets/")
        self.app_subnet_id = pulumi.Output.concat(subnets, _APP)
        self.endpoint_subnet_id = pulumi.Output.concat(subnets, _ENDPOINTS)
        self.database_zone_id = zone.id
        self.register_outputs({"appSubnetId": self.app_subnet_id})
