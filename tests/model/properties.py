"""What always holds, checked on what is really stored, sent and pushed.

P1   No job disappears: the rows are the accepted enqueues, less what was pruned.
P2   A key means one job: an idempotency key of a user and kind for ever, a unique key of a kind while its job lives.
P3   A final row changes by requeue, seen, clear, undo and prune only; no column moves that no move named.
P4   What a reader sees differently has a higher version; a version never falls.
P5   Only the holder of the lease may finish or beat.
P6   At most one result is stored, and it is the winner's.
P7   Attempts and lost workers stay within their bounds; a release costs none. No number or name of one comes back.
P8   What is marked as sent was due; generations never fall.
P9   Another user's cancel, retry, clear, undo, seen or read has no effect.
P10  Running means that somebody holds the lease; the history has one line a claim, ended with it.
P11  Once faults stop, every job comes to an end (in `drivers`).
P12  What is due and unsent is sent by the first sweep; nothing is marked as sent that was not.
P13  A bell is right after any loss, doubling or disorder of pushes and one read (in `bell`).
P14  A push to a user carries that user's jobs only.
P15  An enqueue that is rolled back leaves nothing, and wakes nobody.
P16  Each send counts once as poisoned, however often its message is copied or forged; none less than six abort a job.
P17  The next attempt begins with what the holder of the lease saved last. An attempt that saved something new and loses
     its worker does not count, a bounded number of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, KeysView, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from queued_jobs import JobStatus, JobView, QueuedJob
from queued_jobs.message import Due, JobMessage
from queued_jobs.model import JobKey
from tests.model.demo import REGISTRY
from tests.model.expected import MAX_LOST, MAX_RESEND, ExpectedJob
from tests.model.store import TIMES, Snapshot

_WAITING = (JobStatus.PENDING, JobStatus.RETRYING)


def every_job_is_there(expected: KeysView[JobKey], snapshot: Snapshot) -> None:
    stored = snapshot.jobs.keys()
    assert stored >= expected, f"P1: jobs disappeared: {expected - stored}"
    assert stored <= expected, f"P15: jobs that no commit made: {stored - expected}"
    lines = sum(map(len, snapshot.claims.values()))
    assert lines == snapshot.claim_count, "P10: the history of a deleted job stayed"


def keys_are_unique(rows: Iterable[QueuedJob]) -> None:
    taken: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        if row.idempotency_key is not None:
            taken["idempotency", row.kind, row.user_id, row.idempotency_key] += 1
        if row.unique_key is not None and not row.status.is_final:
            taken["unique", row.kind, row.unique_key] += 1
    assert all(count == 1 for count in taken.values()), f"P2: a key has several jobs: {taken}"


def row_is_as_expected(job: ExpectedJob, row: QueuedJob, before: datetime, now: datetime) -> None:
    """Compare every column; `before` and `now` enclose the moment of the change."""
    held = row.status is JobStatus.RUNNING
    assert held == (row.lease_token is not None), f"P10: {row.status} with the lease {row.lease_token}"
    assert 0 <= row.attempt <= row.max_attempts, f"P7: attempt {row.attempt} of {row.max_attempts}"
    assert 0 <= row.tries <= job.allowed, f"P7: try {row.tries} of {job.allowed}"
    assert row.lost_count <= MAX_LOST, f"P7: {row.lost_count} workers were lost"
    assert row.sent_gen <= row.dispatch_gen, "P8: marked as sent before it was due"
    poisonings = row.poisoned_count if row.poisoned_gen == row.dispatch_gen else 0
    assert poisonings <= job.marks, f"P16: poisoned {poisonings} times, and sent {job.marks} times"
    assert job.error != "poison" or job.marks > MAX_RESEND, f"P16: aborted after {job.marks} sends"
    parked = row.parked_at is not None
    assert parked == job.parked, f"P12: parked: {parked}, expected: {job.parked} {_place(job)}"
    for label, column, expected in _expected(job):
        actual = getattr(row, column)
        assert actual == expected, f"{label}: {column} is {actual!r}, expected: {expected!r} {_place(job)}"
    error = None if row.error is None else row.error.type
    assert error == job.error, f"the error is {error}, expected: {job.error} {_place(job)}"
    for column in TIMES:
        _time_is_as_expected(job, column, getattr(row, column), before, now)


def _expected(job: ExpectedJob) -> Iterable[tuple[str, str, object]]:
    yield "P3", "status", job.status
    yield "P4", "version", job.version
    yield "P5", "lease_token", job.token
    yield "P6", "result", job.result
    yield "P7", "attempt", job.attempt
    yield "P7", "uncounted", job.uncounted
    yield "P7", "max_attempts", job.allowed + job.uncounted
    yield "P7", "lost_count", job.lost_count
    yield "P8", "dispatch_gen", job.gen
    yield "P12", "sent_gen", job.sent
    yield "P12", "resend_count", job.resends
    yield "P16", "poisoned_gen", job.poisoned_gen
    yield "P16", "poisoned_count", job.poisonings
    yield "cancel", "cancel_requested", job.cancel_requested
    yield "progress", "progress", job.progress
    yield "progress", "progress_message", job.message
    yield "P9", "user_id", job.user
    yield "request", "request", job.request
    yield "P2", "idempotency_key", job.idempotency_key
    yield "P2", "unique_key", job.unique_key


def _time_is_as_expected(
    job: ExpectedJob, column: str, actual: datetime | None, before: datetime, now: datetime
) -> None:
    if column not in job.times:
        unchanged = getattr(job.row, column, None)
        assert actual == unchanged, f"P3: {column} moved from {unchanged} to {actual} {_place(job)}"
        return
    expected = job.times[column]
    if isinstance(expected, timedelta):
        assert actual is not None, f"{column} is empty {_place(job)}"
        early, late = before + expected, now + expected
        assert early <= actual <= late, f"{column} is {actual}, expected: {early} to {late} {_place(job)}"
    else:
        assert actual == expected, f"{column} is {actual}, expected: {expected} {_place(job)}"


def _place(job: ExpectedJob) -> str:
    return f"({', '.join(job.steps) or 'nothing was to happen'})"


def history_is_as_expected(job: ExpectedJob, claims: Sequence[list[Any]]) -> None:
    expected = [[claim.gen, claim.attempt, str(claim.token), claim.outcome, claim.error] for claim in job.claims]
    assert list(claims) == expected, f"P10: the history is {claims}, expected: {expected} {_place(job)}"
    numbers = [attempt for _, attempt, *_ in claims]
    assert numbers == sorted(set(numbers)), f"P7: a number of an attempt came back: {numbers} {_place(job)}"


def changes_show(old: QueuedJob | None, new: QueuedJob) -> None:
    """What a reader sees differently has a higher version; versions and generations never fall."""
    if old is None:
        return
    assert new.version >= old.version, "P4: the version fell"
    assert new.dispatch_gen >= old.dispatch_gen, "P8: the generation fell"
    if new.version == old.version:
        seen_before, seen_now = (JobView.of(row, REGISTRY).to_json() for row in (old, new))
        assert seen_before == seen_now, "P4: a reader sees a change under the same version"


def message_wakes_in_time(due: Due, row: QueuedJob, before: datetime, now: datetime) -> None:
    earliest, latest = (max(timedelta(), row.available_at - moment) for moment in (now, before))
    assert due.queue == row.queue, f"P12: sent to {due.queue}"
    assert earliest <= due.delay <= latest, f"P12: hidden for {due.delay}, expected: {earliest} to {latest}"


def only_what_was_sent_is_marked(rows: Iterable[QueuedJob], sent: set[JobMessage]) -> None:
    for row in rows:
        if row.status in _WAITING and row.sent_gen >= row.dispatch_gen:
            assert JobMessage.of(row) in sent, f"P12: job {row.id} is marked as sent without a send"


def pushes_reach_owners_only(pushes: Iterable[tuple[str, str, list[Any]]], owners: Mapping[str, str]) -> None:
    for user, method, arguments in pushes:
        changes = arguments if method == "job" else arguments[0]
        for change in changes:
            assert owners.get(change["id"]) == user, f"P14: {user} was told about job {change['id']}"
