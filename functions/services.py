"""Puts the application together from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import jobs
from api.sign_in.identity import Authenticator
from api.sign_in.invite import InviteAuthenticator
from api.sign_in.oidc import OidcAuthenticator
from queued_jobs import JobRunner
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import SignalRNotifier
from queued_jobs.queues import StorageQueues
from queued_jobs.quotas import Quotas
from queued_jobs.registry import JobRegistry
from queued_jobs.sweeper import Sweeper
from queued_jobs.tracker import JobTracker
from settings import InviteSettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What triggers and routes work with. Nothing in it is connected before its first use."""

    registry: JobRegistry
    database: Database
    repository: PostgresRepository
    queues: StorageQueues
    notifier: SignalRNotifier
    tracker: JobTracker
    sweeper: Sweeper
    authenticator: Authenticator
    quotas: Quotas
    settings: Settings
    runners: dict[str, JobRunner[Any, Any]]


@cache
def services() -> Services:
    """Return the process's one set. Raises `SettingsError` for settings that are missing or unsafe."""
    settings = Settings.from_environment()
    registry = JobRegistry.from_package(jobs)
    database = Database(settings.database_url, password=settings.database_password)
    repository = PostgresRepository(database)
    queues = StorageQueues(settings.queues)
    notifier = SignalRNotifier(settings.signalr, registry)
    runners = {runner.kind: runner(repository, queues, notifier) for runner in registry}
    return Services(
        registry=registry,
        database=database,
        repository=repository,
        queues=queues,
        notifier=notifier,
        tracker=JobTracker(database, queues, notifier),
        sweeper=Sweeper(repository, queues, notifier, runners=runners.values()),
        authenticator=_authenticator(settings),
        quotas=Quotas(database, settings.limits),
        settings=settings,
        runners=runners,
    )


def _authenticator(settings: Settings) -> Authenticator:
    if isinstance(settings.sign_in, InviteSettings):
        return InviteAuthenticator(settings.sign_in)
    return OidcAuthenticator(settings.sign_in)
