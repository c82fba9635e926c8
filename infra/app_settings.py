"""The environment of the function app: addresses and names, no keys."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from infra.database import NAME, Database
from infra.deployment import Deployment
from infra.hub import Hub
from infra.identity import Identity
from infra.invite_links import InviteLinks
from infra.monitoring import Monitoring
from infra.settings import OidcSettings

#: The local stack sweeps more often; in Azure each run is billed.
_EVERY_MINUTE = "0 * * * * *"

Settings = Mapping[str, pulumi.Input[str]]


def app_settings(
    deployment: Deployment,
    *,
    identity: Identity,
    database: Database,
    hub: Hub,
    monitoring: Monitoring,
    sign_in: OidcSettings | InviteLinks,
) -> Settings:
    """Return all settings by name. Names of Linux settings hold letters, digits and underscores only."""
    account, origins = deployment.names.storage_account, deployment.settings.allowed_origins
    return {
        "ENVIRONMENT": deployment.settings.profile.name,
        "SWEEP_SCHEDULE": _EVERY_MINUTE,
        # the host's default is 100 MiB; files are uploaded to the blob service directly
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(1024 * 1024),
        "AZURE_CLIENT_ID": identity.client_id,
        **_by_identity(identity, "AzureWebJobsStorage", accountName=account),
        **_by_identity(identity, "QueuesConn", queueServiceUri=f"https://{account}.queue.core.windows.net"),
        **_by_identity(identity, "BlobsConn", blobServiceUri=f"https://{account}.blob.core.windows.net"),
        "PGHOST": database.host,
        "PGDATABASE": NAME,
        "PGUSER": identity.name,
        "PGSSLMODE": "verify-full",
        "SIGNALR_ENDPOINT": hub.url,
        # the destination of telemetry, which requires the identity of the next line
        "APPLICATIONINSIGHTS_CONNECTION_STRING": monitoring.connection_string,
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": pulumi.Output.format(
            "ClientId={};Authorization=AAD", identity.client_id
        ),
        **(_by_provider(sign_in) if isinstance(sign_in, OidcSettings) else _by_links(sign_in)),
        **({"ALLOWED_ORIGINS": " ".join(origins)} if origins else {}),
    }


def _by_identity(identity: Identity, connection: str, **where: str) -> Settings:
    """Return the settings of a connection that the Functions host opens with this identity."""
    parts: Settings = {**where, "credential": "managedidentity", "clientId": identity.client_id}
    return {f"{connection}__{part}": value for part, value in parts.items()}


def _by_provider(oidc: OidcSettings) -> Settings:
    named = {f"OIDC_{name.upper()}": value for name, value in oidc.model_dump().items() if value}
    return {"AUTH_MODE": "oidc", **named}


def _by_links(links: InviteLinks) -> Settings:
    return {
        "AUTH_MODE": "invite",
        "INVITE_SECRET": links.invite,
        "ADMIN_INVITE_SECRET": links.admin_invite,
        "SESSION_SECRET": links.session,
    }
