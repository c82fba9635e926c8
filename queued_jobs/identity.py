"""The application's identity in Microsoft Entra: tokens for services that are used without keys."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from azure.core.exceptions import AzureError
from psycopg.conninfo import make_conninfo

from queued_jobs._per_loop import PerLoop
from queued_jobs.errors import JobsError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.identity.aio import DefaultAzureCredential

SIGNALR_SCOPE = "https://signalr.azure.com/.default"
POSTGRES_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"

#: Time limit for a token: the first one of a process comes over the network.
TOKEN_TIMEOUT = timedelta(seconds=5)
#: What Azure's clients raise for any response, also for one that is not HTTP or not what it says.
AZURE_ERRORS: Final = (AzureError, OSError, ValueError, RecursionError, zlib.error)
#: Maximum length of a reason: azure-identity lists every attempted method.
_MAX_REASON = 500


class NoToken(JobsError):
    """Entra did not issue a token to the application."""


class Identity:
    """The application's identity: its managed identity in Azure, the signed-in developer on a laptop.

    `AZURE_CLIENT_ID` names a user-assigned identity. Tokens are cached and renewed before they expire. Nothing is
    requested before the first use.
    """

    def __init__(self) -> None:
        self._credentials = PerLoop(_make_credential, close=_close)

    async def token(self, scope: str) -> str:
        """Return a valid token: the cached one, or a new one in its last minutes.

        Raises `NoToken` after at most five seconds.
        """
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT.total_seconds()):
                return (await self.credential().get_token(scope)).token
        except TimeoutError as exc:
            raise NoToken(f"No token for {scope}: Entra did not respond in time.") from exc
        except AZURE_ERRORS as exc:
            reason = " ".join(str(exc).split())[:_MAX_REASON]
            raise NoToken(f"No token for {scope}: {reason}") from exc

    def credential(self) -> DefaultAzureCredential:
        """Return the credential for the clients of the running event loop."""
        return self._credentials.get()

    @cached_property
    def blocking_credential(self) -> TokenCredential:
        """Return the credential for clients whose calls block."""
        from azure.identity import DefaultAzureCredential  # slow to import, and not needed with keys

        from queued_jobs.blocking_transport import BlockingTransport

        seconds = TOKEN_TIMEOUT.total_seconds()
        return DefaultAzureCredential(transport=BlockingTransport(seconds, seconds))

    async def close(self) -> None:
        """Close this event loop's credential. A later use creates a new one."""
        await self._credentials.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """A service accessed with a managed identity: its URL and that identity."""

    endpoint: str
    identity: Identity = field(compare=False)


def passwordless(*, host: str, port: str, database: str, role: str, sslmode: str) -> str:
    """Return a Postgres connection string for `Database(..., password=...)`, which passes a token as the password.

    If `sslmode` verifies the server, its certificate is checked against certifi's authorities: the bundled libpq has
    none, and does not find the system's.
    """
    import certifi

    authorities = {"sslrootcert": certifi.where()} if sslmode.startswith("verify-") else {}
    return make_conninfo(host=host, port=port, dbname=database, user=role, sslmode=sslmode, **authorities)


def _make_credential() -> DefaultAzureCredential:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


async def _close(credential: DefaultAzureCredential) -> None:
    await credential.close()
