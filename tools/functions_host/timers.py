"""The timer trigger: NCRONTAB schedules in UTC, as in Azure, with no overlap of a function with itself."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from queued_jobs.ncrontab import Ncrontab
from tools.functions_host.errors import FunctionLoadError, InvocationError
from tools.functions_host.functions import Function
from tools.functions_host.invoke import Invoker
from tools.functions_host.settings import resolve_placeholders
from tools.functions_host.trigger_data import from_timer
from tools.functions_host.waiting import is_set_within

log = logging.getLogger("host.timers")

# asyncio's clock stops while a laptop sleeps, the system clock does not
_LONGEST_SLEEP = timedelta(seconds=30)


class TimerListener:
    """Calls one timer function at each occurrence of its schedule; a longer run skips occurrences."""

    def __init__(self, function: Function, *, invoker: Invoker) -> None:
        self.name = function.name
        self._function = function
        self._invoker = invoker
        expression = resolve_placeholders(function.trigger["schedule"])
        try:
            self._schedule = Ncrontab(expression)
        except ValueError as error:
            raise FunctionLoadError(function.name, f"its schedule is not valid: {error}") from None
        self._last: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Wait for occurrences until `stopping` is set; a failed run is not repeated before the next one."""
        if self._function.trigger.get("runOnStartup"):
            await self._invoke(datetime.now(UTC))
        while not stopping.is_set():
            due = self._schedule.next(datetime.now(UTC))
            while (remaining := due - datetime.now(UTC)) > timedelta():
                if await is_set_within(stopping, min(remaining, _LONGEST_SLEEP)):
                    return
            await self._invoke(due)

    async def _invoke(self, due: datetime) -> None:
        following = self._schedule.next(due)
        data = from_timer(last=self._last, following=following)
        self._last = due
        try:
            await self._invoker.invoke(self._function, data)
        except InvocationError:
            log.info("timer %s runs again at %s", self.name, following.isoformat())
