"""The environment of the function app: addresses and names, no keys."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import applicationinsights, managedidentity, signalrservice, storage

from infra.database import NAME, Database
from infra.deployment import Deployment
from infra.invite_links import InviteLinks

#: The local stack sweeps more often; in Azure each run is billed.
_EVERY_MINUTE = "0 * * * * *"

Settings = Mapping[str, pulumi.Input[str]]


def app_settings(
    deployment: Deployment,
    identity: managedidentity.UserAssignedIdentity,
    *,
    account: storage.StorageAccount,
    database: Database,
    hub: signalrservice.SignalR,
    telemetry: applicationinsights.Component,
    links: InviteLinks | None,
) -> Settings:
    """Return all settings by name. Names of Linux settings hold letters, digits and underscores only."""
    name = deployment.names.storage_account
    return {
        "ENVIRONMENT": deployment.settings.profile.name,
        "SWEEP_SCHEDULE": _EVERY_MINUTE,
        # the host's default is 100 MiB; files are uploaded to the blob service directly
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(1024 * 1024),
        "AZURE_CLIENT_ID": identity.client_id,
        **_by_identity(identity, "AzureWebJobsStorage", {"accountName": account.name}),
        **_by_identity(identity, "QueuesConn", {"queueServiceUri": f"https://{name}.queue.core.windows.net"}),
        **_by_identity(identity, "BlobsConn", {"blobServiceUri": f"https://{name}.blob.core.windows.net"}),
        "PGHOST": database.host,
        "PGDATABASE": NAME,
        "PGUSER": identity.name,
        "PGSSLMODE": "verify-full",
        "SIGNALR_ENDPOINT": hub.host_name.apply(lambda host: f"https://{host}"),
        # the destination of telemetry, which requires the identity of the next line
        "APPLICATIONINSIGHTS_CONNECTION_STRING": telemetry.connection_string,
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": identity.client_id.apply(
            lambda client: f"ClientId={client};Authorization=AAD"
        ),
        **_sign_in(deployment, links),
        **({"ALLOWED_ORIGINS": " ".join(others)} if (others := deployment.settings.allowed_origins) else {}),
    }


def _by_identity(
    identity: managedidentity.UserAssignedIdentity, connection: str, where: Mapping[str, pulumi.Input[str]]
) -> Settings:
    """Return the settings of a connection that the Functions host opens with this identity."""
    parts = {**where, "credential": "managedidentity", "clientId": identity.client_id}
    return {f"{connection}__{part}": value for part, value in parts.items()}


def _sign_in(deployment: Deployment, links: InviteLinks | None) -> Settings:
    oidc = deployment.settings.oidc
    if oidc is not None:
        settings = {
            "AUTH_MODE": "oidc",
            "OIDC_ISSUER": oidc.issuer,
            "OIDC_AUDIENCE": oidc.audience,
            "OIDC_CLIENT_ID": oidc.client_id,
            "OIDC_ROLES_CLAIM": oidc.roles_claim,
            "OIDC_SCOPE": oidc.scope,
            "OIDC_AUDIENCE_PARAMETER": oidc.audience_parameter,
        }
        return {name: value for name, value in settings.items() if value}
    if links is None:
        raise ValueError("A stack without oidc needs invite links.")
    return {
        "AUTH_MODE": "invite",
        "INVITE_SECRET": links.invite,
        "ADMIN_INVITE_SECRET": links.admin_invite,
        "SESSION_SECRET": links.session,
    }
