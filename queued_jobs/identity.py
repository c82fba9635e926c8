"""Who the application is where no keys are used: tokens of its own identity in Microsoft Entra, for each service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError
from psycopg.conninfo import make_conninfo

from queued_jobs._per_loop import PerLoop
from queued_jobs.errors import JobsError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.identity.aio import DefaultAzureCredential

SIGNALR_SCOPE = "https://signalr.azure.com/.default"
POSTGRES_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"

#: The first token of a process comes over the network.
TOKEN_TIMEOUT = timedelta(seconds=5)
#: What azure-identity says of all the ways that it tried is a page long.
_LONGEST_REASON = 500


class NoToken(JobsError):
    """Entra gave the application no token."""


class Identity:
    """The application's identity: in Azure its managed one, on a laptop whoever is signed in.

    `AZURE_CLIENT_ID` names a user-assigned identity. Tokens are kept and renewed before they expire. Nothing is asked
    before the first use.
    """

    def __init__(self) -> None:
        self._credentials = PerLoop(_make_credential, close=_close)

    async def token(self, scope: str) -> str:
        """Return a token that has not expired: the last one, or a new one some minutes before that ends.

        Raises `NoToken`, after five seconds at the latest.
        """
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT.total_seconds()):
                return (await self.credential().get_token(scope)).token
        except TimeoutError as exc:
            raise NoToken(f"There is no token for {scope}: Entra did not answer in time.") from exc
        except AzureError as exc:
            reason = " ".join(exc.message.split())[:_LONGEST_REASON]
            raise NoToken(f"There is no token for {scope}: {reason}") from exc

    def credential(self) -> DefaultAzureCredential:
        """Return the credential for the clients of the running event loop."""
        return self._credentials.get()

    @cached_property
    def blocking_credential(self) -> TokenCredential:
        """The credential for clients whose calls block."""
        from azure.identity import DefaultAzureCredential  # takes a while, and only who has no keys needs it

        seconds = TOKEN_TIMEOUT.total_seconds()
        return DefaultAzureCredential(connection_timeout=seconds, read_timeout=seconds)

    async def close(self) -> None:
        """Close this event loop's credential. A later use makes another."""
        await self._credentials.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyless:
    """A service that is opened by identity: its address, and who asks."""

    endpoint: str
    identity: Identity = field(compare=False)


def passwordless(*, host: str, port: str, database: str, role: str, sslmode: str) -> str:
    """Return the address of a Postgres for `Database(..., password=...)`, which puts a token in the password's place.

    Where the server's name is to be checked, it is by the certificate authorities that Python packages trust: libpq
    knows none by itself, and the system's are not where its build looks for them.
    """
    import certifi

    authorities = {"sslrootcert": certifi.where()} if sslmode.startswith("verify-") else {}
    return make_conninfo(host=host, port=port, dbname=database, user=role, sslmode=sslmode, **authorities)


def _make_credential() -> DefaultAzureCredential:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


async def _close(credential: DefaultAzureCredential) -> None:
    await credential.close()
