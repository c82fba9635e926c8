"""Realistic jobs of nine kinds: many owners, durations, retries and errors."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate

NULL = "\\N"
MAX_ATTEMPTS = 5
#: Before `until` there are jobs that have not ended.
BUSY = timedelta(minutes=5)

JOB_COLUMNS = (
    *("id", "kind", "queue", "user_id", "request", "created_at", "status", "attempt", "dispatch_gen", "sent_gen"),
    *("next_send_at", "available_at", "lease_token", "lease_until", "deadline_at", "worker_id", "started_at"),
    *("finished_at", "seen_at", "cleared_at", "progress", "result", "error", "version"),
)
ATTEMPT_COLUMNS = (
    *("job_id", "gen", "attempt", "worker_id", "lease_token", "due_at", "started_at", "ended_at", "outcome", "error"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The frequency, duration and failure rate of the jobs of a kind."""

    name: str
    share: float
    run_seconds: float
    failing: float
    queues: tuple[str, ...]


KINDS = (
    Kind(name="thumbnail", share=30, run_seconds=0.3, failing=0.01, queues=("thumbnail",)),
    Kind(name="photo-archive", share=25, run_seconds=4, failing=0.03, queues=("photo-archive", "photo-archive-urgent")),
    Kind(name="row-import", share=18, run_seconds=12, failing=0.08, queues=("row-import",)),
    Kind(name="invoice-pdf", share=14, run_seconds=1.5, failing=0.02, queues=("invoice-pdf",)),
    Kind(name="mail-merge", share=8, run_seconds=6, failing=0.05, queues=("mail-merge",)),
    Kind(name="search-index", share=3, run_seconds=40, failing=0.02, queues=("search-index",)),
    Kind(name="video-transcode", share=1.5, run_seconds=300, failing=0.1, queues=("video-transcode",)),
    Kind(name="data-export", share=0.45, run_seconds=90, failing=0.04, queues=("data-export",)),
    Kind(name="ledger-close", share=0.05, run_seconds=600, failing=0.2, queues=("ledger-close",)),
)
#: Most frequent first.
ERRORS = (
    ("FileNotFoundError", "The blob 'uploads/{n}/part-{m}.bin' is not there."),
    ("ConnectionResetError", "[Errno 104] Connection reset by peer"),
    ("TimeoutError", "No response from 10.0.{m}.{n} within 30.0 seconds"),
    ("ValidationError", 'line {n}: column "amount" holds "{m},00 EUR", which is not a number'),
    ("PermissionError", "User {n} cannot read folder {id}"),
    ("HTTPStatusError", "Server error '503 Service Unavailable' for url 'https://files.example/{id}'"),
    ("IntegrityError", 'duplicate key value violates unique constraint "invoice_number" (number)=({n})'),
    ("MemoryError", "MemoryError"),
    ("UnicodeDecodeError", "'utf-8' codec can't decode byte 0x{m:02x} in position {n}: invalid start byte"),
    ("ZeroDivisionError", "division by zero"),
)


@dataclass(slots=True, kw_only=True)
class Life:
    """The outcome of a job, with its attempts in COPY format."""

    due: datetime
    status: str = "pending"
    attempts: list[str]
    token: str = NULL
    started: datetime | None = None
    finished: datetime | None = None
    error: str = NULL


class JobGenerator:
    """Yields a line of the job table and the lines of its attempts, as COPY reads them, oldest first.

    The same arguments produce the same jobs.

    Parameters
    ----------
    until
        Creation time of the newest job.
    days
        Age of the oldest job, in days.
    """

    def __init__(self, count: int, *, until: datetime, days: float, seed: int) -> None:
        self._count = count
        self._until = until
        self._start = until - timedelta(days=days)
        self._dice = random.Random(seed)  # noqa: S311 (sample data, not secrets)
        self._users = [f"https://issuer.example|user-{number:06d}" for number in range(max(10, count // 250))]
        # as in most systems, few users own most of the jobs
        self._user_weights = list(accumulate(1 / (rank + 5) for rank in range(len(self._users))))
        self._kind_weights = list(accumulate(kind.share for kind in KINDS))

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        step = (self._until - self._start) / self._count
        for number in range(self._count):
            yield self._job(self._start + number * step)

    def _job(self, created: datetime) -> tuple[str, list[str]]:
        dice = self._dice
        (kind,) = dice.choices(KINDS, cum_weights=self._kind_weights)
        (user,) = dice.choices(self._users, cum_weights=self._user_weights)
        key = f"{int(created.timestamp() * 1000):012x}7{dice.getrandbits(12):03x}{1 << 63 | dice.getrandbits(62):x}"
        queue = kind.queues[-1] if dice.random() < 0.1 else kind.queues[0]
        request = f'{{"container": "uploads", "prefix": "{user[-6:]}/{key[:8]}/", "rows": {dice.randrange(5_000)}}}'
        life = self._life(key, kind, created)
        attempt = len(life.attempts)
        gen = attempt if life.status in ("succeeded", "running") else attempt + 1
        cleared = None
        if life.finished is not None and life.finished < self._until - timedelta(days=2) and dice.random() < 0.98:
            cleared = life.finished
        lease = self._until + timedelta(hours=1) if life.status == "running" else None
        fields = (
            *(key, kind.name, queue, user, request, _time(created), life.status, str(attempt), str(gen), str(gen)),
            *(_time(life.due), _time(life.due), life.token, _time(lease), _time(lease)),
            *("worker:1" if attempt else NULL, _time(life.started), _time(life.finished), _time(cleared)),
            *(_time(cleared), *self._outcome(life.status), life.error, str(2 + 2 * attempt)),
        )
        return "\t".join(fields), life.attempts

    def _life(self, key: str, kind: Kind, created: datetime) -> Life:
        dice = self._dice
        life = Life(due=created, attempts=[])
        fate = dice.random()
        if created > self._until - BUSY and fate < 0.5:
            return life
        if fate > 0.99:
            life.status = "aborted" if fate > 0.998 else "cancelled"
            life.finished = min(self._until, created + timedelta(seconds=dice.expovariate(0.01)))
            if life.status == "aborted":
                message = f"No worker could run version 2 of the kind {kind.name} for a day."
                life.error = _json({"type": "no-handler", "message": message})
            return life
        failing = dice.random() < kind.failing
        fails = MAX_ATTEMPTS if failing and dice.random() < 0.5 else int(failing)
        while life.finished is None and life.due <= self._until:
            self._attempt(life, key, kind, fails)
            if life.status == "running":
                break
        return life

    def _attempt(self, life: Life, key: str, kind: Kind, fails: int) -> None:
        dice = self._dice
        number = str(len(life.attempts) + 1)
        token = f"{dice.getrandbits(128):032x}"
        life.started = life.due + timedelta(seconds=dice.lognormvariate(-0.5, 1))
        ended: datetime | None = life.started + timedelta(seconds=dice.lognormvariate(0, 0.8) * kind.run_seconds)
        outcome, life.error = "succeeded", NULL
        if ended is None or ended > self._until:
            life.status, life.token, outcome, ended = "running", token, NULL, None
        elif len(life.attempts) < fails:
            outcome, life.error = "failed", self._error()
        times = (_time(life.due), _time(life.started), _time(ended))
        life.attempts.append("\t".join((key, number, number, "worker:1", token, *times, outcome, life.error)))
        if ended is None:
            return
        if outcome == "succeeded" or len(life.attempts) == MAX_ATTEMPTS:
            life.status, life.finished = outcome, ended
        else:
            life.status = "retrying"
            life.due = ended + timedelta(seconds=5 * 2 ** len(life.attempts) * dice.uniform(0.5, 1.5))

    def _outcome(self, status: str) -> tuple[str, str]:
        """Return progress and result."""
        if status == "succeeded":
            return "1", f'{{"rows": {self._dice.randrange(5_000)}}}'
        return (f"{self._dice.random():.2f}" if status == "running" else NULL), NULL

    def _error(self) -> str:
        dice = self._dice
        name, text = ERRORS[min(int(dice.expovariate(0.4)), len(ERRORS) - 1)]
        digits = f"{dice.getrandbits(128):032x}"
        some_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        message = text.format(n=dice.randrange(100_000), m=dice.randrange(256), id=some_id)
        trace = f'Traceback (most recent call last):\n  File "jobs.py", line 41, in on_execute\n{name}: {message}\n'
        return _json({"type": name, "message": message, "traceback": trace})


@lru_cache(maxsize=16)  # most moments of a job are written several times
def _time(moment: datetime | None) -> str:
    return NULL if moment is None else str(moment)


def _json(value: dict[str, str]) -> str:
    return json.dumps(value).replace("\\", "\\\\")
