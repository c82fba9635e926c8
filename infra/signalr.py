"""The hub: Azure SignalR Service in serverless mode, which only pushes changes to browsers."""

from __future__ import annotations

from pulumi_azure_native import signalrservice

from infra.deployment import Deployment


def create_hub(deployment: Deployment) -> signalrservice.SignalR:
    """Create the hub. Access keys are disabled, and only pages of known origins may connect."""
    profile = deployment.settings.profile
    return signalrservice.SignalR(
        "hub",
        resource_group_name=deployment.group.name,
        resource_name_=deployment.names.of("sigr"),
        kind="SignalR",
        sku=signalrservice.ResourceSkuArgs(name=profile.hub_size, tier=profile.hub_tier, capacity=profile.hub_units),
        features=[signalrservice.SignalRFeatureArgs(flag="ServiceMode", value="Serverless")],
        disable_local_auth=True,
        disable_aad_auth=False,
        # the default is every origin
        cors=signalrservice.SignalRCorsSettingsArgs(allowed_origins=deployment.origins),
        serverless=signalrservice.ServerlessSettingsArgs(connection_timeout_in_seconds=30),
        tls=signalrservice.SignalRTlsSettingsArgs(client_cert_enabled=False),
        public_network_access="Enabled",
    )
