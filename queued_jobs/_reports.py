"""The progress that a body reports: only the latest counts."""

from __future__ import annotations

import math
import threading
from numbers import Real
from typing import NamedTuple

from queued_jobs._arguments import check_type
from queued_jobs.redact import to_storable_text


class Report(NamedTuple):
    progress: float | None
    message: str | None


class Reports:
    """The latest report of an attempt, and the last one that was stored. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest = Report(None, None)
        self._written = Report(None, None)

    def add(self, progress: float | None, message: str | None) -> None:
        """See `JobContext.report`."""
        if progress is not None:
            check_type("progress", progress, Real)
        if message is not None:
            check_type("message", message, str)
            message = to_storable_text(message, 200)
        with self._lock:
            before = self._latest
            if progress is None or not abs(progress) < math.inf:  # isfinite raises for huge integers
                progress = before.progress
            else:
                progress = float(min(1, max(0, progress)))
            self._latest = Report(progress, before.message if message is None else message)

    def unwritten(self) -> Report | None:
        """Return the latest report if it differs visibly: a new message, or a percent or more."""
        with self._lock:
            new, old = self._latest, self._written
        if new.message == old.message and abs((new.progress or 0.0) - (old.progress or 0.0)) < 0.01:
            return None
        return new

    def wrote(self, report: Report) -> None:
        with self._lock:
            self._written = report
