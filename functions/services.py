"""Creates the application's parts from its settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache

import jobs
from api.sign_in.identity import Authenticator
from api.sign_in.invite import InviteAuthenticator
from api.sign_in.oidc import OidcAuthenticator
from queued_jobs import QueueManager
from queued_jobs.audit import AuditLog
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import SignalRNotifier
from queued_jobs.queues import StorageQueues
from queued_jobs.quotas import Quotas
from queued_jobs.registry import JobRegistry
from settings import InviteSettings, Settings
from storage import delete_uploads_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services used by triggers and routes. Each connects on first use."""

    manager: QueueManager
    #: The manager's parts, for health checks and for the pages of operators.
    database: Database
    queues: StorageQueues
    notifier: SignalRNotifier
    authenticator: Authenticator
    quotas: Quotas
    audit: AuditLog
    settings: Settings


@cache
def services() -> Services:
    """Return the services of this process. Raises `SettingsError` for missing or unsafe settings."""
    settings = Settings.from_environment()
    registry = JobRegistry.from_package(jobs)
    database = Database(
        settings.database_url,
        password=settings.database_password,
        transaction_pooler=settings.transaction_pooler,
    )
    queues = StorageQueues(settings.queues)
    notifier = SignalRNotifier(settings.signalr, registry)
    return Services(
        manager=QueueManager(
            registry,
            repository=PostgresRepository(database),
            queues=queues,
            notifier=notifier,
            on_erase=lambda user_id: asyncio.to_thread(delete_uploads_of, user_id),
        ),
        database=database,
        queues=queues,
        notifier=notifier,
        authenticator=_authenticator(settings),
        quotas=Quotas(database, settings.limits),
        audit=AuditLog(database),
        settings=settings,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if isinstance(settings.sign_in, InviteSettings):
        return InviteAuthenticator(settings.sign_in)
    return OidcAuthenticator(settings.sign_in)
