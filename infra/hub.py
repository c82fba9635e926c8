"""The hub: Azure SignalR Service in serverless mode, which only pushes changes to browsers."""

from __future__ import annotations

from pulumi_azure_native import signalrservice

from infra import roles
from infra.deployment import Deployment, Part
from infra.identity import Identity


class Hub(Part):
    """The hub. Access keys are disabled, and only pages of known origins may connect."""

    def __init__(self, name: str, deployment: Deployment, *, identity: Identity) -> None:
        super().__init__(name, deployment)
        profile = deployment.settings.profile
        self.service = signalrservice.SignalR(
            "hub",
            resource_group_name=deployment.group.name,
            resource_name_=deployment.names.of("sigr"),
            kind="SignalR",
            sku=signalrservice.ResourceSkuArgs(
                name=profile.hub_size, tier=profile.hub_tier, capacity=profile.hub_units
            ),
            features=[signalrservice.SignalRFeatureArgs(flag="ServiceMode", value="Serverless")],
            disable_local_auth=True,
            disable_aad_auth=False,
            # the default is every origin
            cors=signalrservice.SignalRCorsSettingsArgs(allowed_origins=deployment.origins),
            serverless=signalrservice.ServerlessSettingsArgs(connection_timeout_in_seconds=30),
            tls=signalrservice.SignalRTlsSettingsArgs(client_cert_enabled=False),
            public_network_access="Enabled",
            opts=self.child(),
        )
        identity.grant("hub", roles.SIGNALR_REST_API_OWNER, on=self.service, by=self)
        self.url = self.service.host_name.apply(lambda host: f"https://{host}")
        self.register_outputs({"url": self.url})
