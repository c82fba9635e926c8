"""The settings of the function app, read once from the environment and checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from queued_jobs.database import is_conninfo
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.signalr import ConnectionString

_MIN_SECRET_BYTES = 32
_ENVIRONMENTS = ("local", "dev", "prod")
#: Published by Microsoft for the emulator, so whoever finds it in the cloud may read and write everything.
_EMULATOR_ACCOUNT = "devstoreaccount1"


class SettingsError(Exception):
    """The settings are unsafe or incomplete; the message has one line for each problem, with its remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteSettings:
    """`AUTH_MODE=invite`: who holds a link is a guest, who holds the other one is an admin."""

    invite_secret: str
    admin_invite_secret: str
    session_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    environment: str
    invite: InviteSettings
    database_url: str
    queues: str
    blobs: str
    signalr: ConnectionString

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read and check all settings. Raises `SettingsError` that lists every problem, never a secret."""
        reader = _Reader(environment)
        reader.one_of("AUTH_MODE", ("invite",))
        name = reader.one_of("ENVIRONMENT", _ENVIRONMENTS)
        if name == "prod":
            reader.refuse(
                "AUTH_MODE", "invite links are for a first look, not for production", "set ENVIRONMENT=dev or local"
            )
        secrets = [reader.secret(name) for name in ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")]
        if all(secrets) and len(set(secrets)) < len(secrets):
            reader.refuse("ADMIN_INVITE_SECRET", "two of the three secrets are equal", "make each of them anew")
        database_url = reader.database("DATABASE_URL")
        queues, blobs = reader.storage("QueuesConn"), reader.storage("BlobsConn")
        signalr = reader.connection_string("SIGNALR_CONNECTION")
        if "WEBSITE_SITE_NAME" in environment:
            reader.check_cloud(database_url, queues, blobs, signalr)
        reader.schedule("SWEEP_SCHEDULE")
        reader.finish()
        return cls(
            environment=name,
            invite=InviteSettings(invite_secret=secrets[0], admin_invite_secret=secrets[1], session_secret=secrets[2]),
            database_url=database_url,
            queues=queues,
            blobs=blobs,
            signalr=signalr,
        )


class _Reader:
    """Collects every problem, so that they are mended in one go."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def refuse(self, name: str, reason: str, remedy: str) -> None:
        self._problems.append(f"{name}: {reason}; {remedy}.")

    def finish(self) -> None:
        if self._problems:
            raise SettingsError("\n".join(self._problems))

    def text(self, name: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self.refuse(name, "is missing", "set it as docs/reference/settings.md says")
        return value

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value and value not in choices:
            self.refuse(name, f"{value!r} is not known", f"use {' or '.join(choices)}")
        return value

    def secret(self, name: str) -> str:
        value = self.text(name)
        if value and len(value.encode()) < _MIN_SECRET_BYTES:
            self.refuse(name, f"is shorter than {_MIN_SECRET_BYTES} bytes", "make a random one of 43 characters")
        return value

    def connection_string(self, name: str) -> ConnectionString:
        value = self.text(name)
        if value:
            try:
                return ConnectionString.parse(value)
            except ValueError as exc:
                self.refuse(name, str(exc).rstrip("."), "copy the whole string")
        return ConnectionString(endpoint="", access_key="")

    def database(self, name: str) -> str:
        value = self.text(name)
        if value and not is_conninfo(value):
            self.refuse(name, "is no address of a Postgres", "write postgresql://user:password@host:port/database")
        return value

    def storage(self, name: str) -> str:
        value = self.text(name)
        parts = dict(part.split("=", 1) for part in value.split(";") if "=" in part)
        if value and value != "UseDevelopmentStorage=true" and not parts.keys() >= {"AccountName", "AccountKey"}:
            self.refuse(name, "has no AccountName or no AccountKey", "copy the whole connection string")
        return value

    def schedule(self, name: str) -> None:
        value = self.text(name)
        try:
            Ncrontab(value or "* * * * * *")
        except ValueError as exc:
            self.refuse(name, str(exc), "write six fields, such as */15 * * * * *")

    def check_cloud(self, database_url: str, queues: str, blobs: str, signalr: ConnectionString) -> None:
        """Refuse in Azure what is meant for a laptop."""
        for name, value in (("QueuesConn", queues), ("BlobsConn", blobs)):
            if _EMULATOR_ACCOUNT in value or "UseDevelopmentStorage" in value:
                self.refuse(name, "names the storage emulator, whose key everybody knows", "name a storage account")
        if signalr.endpoint.startswith("http:"):
            self.refuse("SIGNALR_CONNECTION", "is not encrypted", "use the https endpoint of the service")
        if "sslmode=verify-full" not in database_url:
            self.refuse("DATABASE_URL", "does not ask for TLS with a checked name", "add sslmode=verify-full")
