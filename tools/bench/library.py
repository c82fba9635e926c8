"""The library as it ships, with a queue in memory in place of Azure Storage."""

from __future__ import annotations

from queued_jobs.announcements import flush_pushes
from queued_jobs.message import JobMessage
from queued_jobs.notifier import NullNotifier
from queued_jobs.push.signalr import ConnectionString, SignalRNotifier
from queued_jobs.registry import JobRegistry
from tools.bench.kinds import Noop
from tools.bench.subject import Settings, Subject, manager_of


class Library(Subject):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._notifier = SignalRNotifier(ConnectionString.parse(self.hub), JobRegistry([Noop]))
        self._database, manager = manager_of(self.url, self._notifier)
        self._runner = manager.runner("noop")

    async def run(self, in_flight: int) -> None:
        await super().run(in_flight)
        await flush_pushes()

    async def run_one(self, message: JobMessage) -> None:
        await self._runner.execute(message)

    async def close(self) -> None:
        await self._notifier.close()
        await self._database.close()


class QuietLibrary(Subject):
    """The library without pushes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._database, manager = manager_of(self.url, NullNotifier())
        self._runner = manager.runner("noop")

    async def run_one(self, message: JobMessage) -> None:
        await self._runner.execute(message)

    async def close(self) -> None:
        await self._database.close()
