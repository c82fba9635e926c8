"""The connections of the command: database and queues."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg

from queued_jobs.audit import Action, AuditLog
from queued_jobs.backend import Backend
from queued_jobs.cli.options import Account, Pooler, Store
from queued_jobs.cli.problems import WrongUsage
from queued_jobs.database import Database
from queued_jobs.erasure import Erasure
from queued_jobs.errors import SendFailed
from queued_jobs.identity import Identity, Keyless
from queued_jobs.manager import QueueManager
from queued_jobs.message import JobMessage
from queued_jobs.notifier import NullNotifier
from queued_jobs.pauses import Pauses
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from queued_jobs.registry import JobRegistry
from queued_jobs.schedules import Schedules
from queued_jobs.tracker import JobTracker
from queued_jobs.urls import is_conninfo


@dataclass(slots=True, kw_only=True)
class CountingQueues:
    """Sends if possible, and counts the messages left for the sweeper, with the reason."""

    manager: StorageQueues | None
    unsent: int = 0
    reasons: set[str] = field(default_factory=set)

    async def ensure(self, *queues: str) -> None:
        if self.manager is not None:
            await self.manager.ensure(*queues)

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        try:
            if self.manager is None:
                raise SendFailed("No queues were named (--queues or QueuesConn)")
            await self.manager.send(queue, message, delay=delay)
        except SendFailed as exc:
            self.unsent += 1
            self.reasons.add(str(exc))
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The connections of a running command."""

    repository: PostgresRepository
    queues: CountingQueues
    tracker: JobTracker
    pauses: Pauses
    audit: AuditLog

    @property
    def subject(self) -> str:
        """The name of the account that runs the command, as the audit has it."""
        return f"command:{_account_name()}"

    def schedules(self, registry: JobRegistry) -> Schedules:
        """Return the kinds with a schedule, of an application whose jobs are in this database."""
        return Schedules(Backend(self.repository, self.queues), registry)

    def erasure(self, app: QueueManager) -> Erasure:
        """Return what erases users here, with the kinds and the `on_erase` of an application."""
        runners = {kind.kind: app.runner(kind.kind) for kind in app.registry}
        return Erasure(self.repository, self.tracker, NullNotifier(), runners, app.on_erase)

    def acting(self, action: str, **filters: object) -> AbstractAsyncContextManager[Action]:
        """Record the action of this block under the name of the account that runs the command."""
        return self.audit.acting(self.subject, "operator", action, filters)


@asynccontextmanager
async def connected(store: Store, account: Account | None = None) -> AsyncIterator[System]:
    """Open the database, and the queues if configured. Raises before any change if a connection fails."""
    address, tables = check_connection_string(store), store.tables()
    async with AsyncExitStack() as stack:
        manager = None
        if account is not None and account.queues:
            manager = await stack.enter_async_context(connect_queues(account))
        # the pool would report a timeout only, and log the reason
        await (await psycopg.AsyncConnection.connect(address, connect_timeout=5)).close()
        database = Database(address, tables=tables, transaction_pooler=store.pooler is Pooler.TRANSACTION)
        stack.push_async_callback(database.close)
        queues = CountingQueues(manager=manager)
        repository = PostgresRepository(database)
        # people's pages read again by themselves, so nothing here needs the key of the hub
        jobs = QueueManager((), repository=repository, queues=queues)
        yield System(
            repository=repository,
            queues=queues,
            tracker=jobs.tracker,
            pauses=jobs.pauses,
            audit=AuditLog(database),
        )


@asynccontextmanager
async def connect_queues(account: Account) -> AsyncIterator[StorageQueues]:
    """Open the queues. Raises `WrongUsage` if none are configured or the account is not valid."""
    if not account.queues:
        raise WrongUsage("no queues are configured; set QueuesConn, or pass --queues")
    identity = Identity()
    is_address = account.queues.startswith(("https://", "http://"))
    manager = StorageQueues(Keyless(endpoint=account.queues, identity=identity) if is_address else account.queues)
    try:
        manager["any"]  # parses the connection string, and sends nothing
    except ValueError as exc:
        # the SDK's message may quote the key
        raise WrongUsage("--queues is not a valid storage connection string; copy all of it") from exc
    try:
        yield manager
    finally:
        await manager.close()
        await identity.close()


def check_connection_string(store: Store) -> str:
    if not store.database_url:
        raise WrongUsage("no database is configured; set DATABASE_URL, or pass --database-url")
    if not is_conninfo(store.database_url):
        raise WrongUsage(
            "--database-url is not a valid Postgres connection string; use postgresql://user@host:port/database"
        )
    return store.database_url


def _account_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an id without a name, as in some containers
        return "unknown"
