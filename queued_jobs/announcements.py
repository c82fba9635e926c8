"""Informs notifiers and hooks of changes, without making callers wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from queued_jobs._per_loop import PerLoop
from queued_jobs.chunks import Segment
from queued_jobs.hooks import call_hook
from queued_jobs.model import Changed, QueuedJob
from queued_jobs.notifier import Notifier, OutputNotifier
from queued_jobs.outbox import Outbox
from queued_jobs.parcels import Newest, Segments, Steps

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

logger = logging.getLogger(__name__)

#: Concurrent hooks of one kind: as many as an instance runs jobs of it with the host's default settings.
MAX_HOOKS = 6
#: Changes of one kind that may wait for its hook.
MAX_WAITING_FOR_HOOK = 1_000
#: Owners whose output may wait with its texts, of `MAX_SEGMENT_BYTES` each. For more, segments are bare.
MAX_OWNERS_WITH_TEXTS = 64

# keyed by the id() of the receiver, which lives as long as its outbox, and by what is pushed
_outboxes: PerLoop[dict[tuple[int, str], Outbox[Any]]] = PerLoop(dict)


async def announce(notifier: Notifier, *jobs: QueuedJob) -> None:
    """Schedule the push of these changes to the jobs' owners. Never waits for the hub, and never raises.

    Of several pending changes of one job only the newest is pushed; an owner never gets an older one after a newer
    version. A crash loses pending pushes, which is harmless: the row is the source of truth.
    """
    schedule_push(notifier, *jobs)
    await asyncio.sleep(0)  # lets the push start, even if the event loop ends here


async def announce_removed(notifier: Notifier, user_id: str, changes: Sequence[Changed]) -> None:
    """Schedule a push to the owner that these jobs were removed from the bell; otherwise like `announce`."""
    if _is_immediate(notifier):
        _push_now(notifier.jobs_removed(user_id, changes), notifier)
        return
    outbox = _outbox_of(notifier)
    for change in changes:
        outbox.put(user_id, change)
    await asyncio.sleep(0)


def schedule_push(notifier: Notifier, *jobs: QueuedJob) -> None:
    """Like `announce`, for callers that await something else afterwards."""
    if not jobs:
        return
    if _is_immediate(notifier):
        _push_now(notifier.job_changed(*jobs), notifier)
        return
    outbox = _outbox_of(notifier)
    for job in jobs:
        outbox.put(job.user_id, job)


def schedule_output(notifier: Notifier, user_id: str, segment: Segment) -> None:
    """Schedule the push of what a job has emitted, if the notifier pushes output. Never waits and never raises.

    Segments of one job that wait are joined, and lose their chunks when they are too large together.
    """
    if segment.after == segment.last or not isinstance(notifier, OutputNotifier):
        return
    if _is_immediate(notifier):
        _push_now(notifier.output_appended(user_id, segment.limited()), notifier)
        return
    outbox = _outbox(notifier, "output", lambda: _make_output(notifier))
    outbox.put(user_id, segment if outbox.keys < MAX_OWNERS_WITH_TEXTS else segment.bare())


def schedule_hook(runner: JobRunner[Any, Any], job: QueuedJob) -> None:
    """Schedule `on_status_updated`, after the calls for earlier changes of the job. Never waits and never raises."""
    _outbox(runner, "steps", lambda: _make_hooks(runner)).put(str(job.id), job)


async def close_outbox(notifier: Notifier) -> None:
    """Flush, then drop any pushes still pending for this notifier.

    Call it before closing the notifier's connections.
    """
    await flush_pushes()
    outboxes = _outboxes.get()
    for key in [key for key in outboxes if key[0] == id(notifier)]:
        await outboxes.pop(key).close()


async def flush_pushes(*, within: timedelta = timedelta(seconds=3)) -> bool:
    """Wait until all changes of this event loop's jobs are pushed; False if that took longer than `within`.

    For tests and for programs that end. Does not wait for a receiver whose pushes are paused.
    """
    outboxes = _outboxes.get()
    until = asyncio.get_running_loop().time() + within.total_seconds()
    while tasks := {task for outbox in outboxes.values() for task in outbox.tasks} - {asyncio.current_task()}:
        _, late = await asyncio.wait(tasks, timeout=until - asyncio.get_running_loop().time())
        if late:
            return False
    return not any(map(len, outboxes.values()))


def _outbox_of(notifier: Notifier) -> Outbox[QueuedJob | Changed]:
    return _outbox(notifier, "changes", lambda: _make_changes(notifier))


def _make_changes(notifier: Notifier) -> Outbox[QueuedJob | Changed]:
    return Outbox(type(notifier).__name__, partial(_push, notifier), parcel=Newest)


def _make_output(notifier: OutputNotifier) -> Outbox[Segment]:
    return Outbox(f"output of {type(notifier).__name__}", partial(_push_output, notifier), parcel=Segments)


def _make_hooks(runner: JobRunner[Any, Any]) -> Outbox[QueuedJob]:
    return Outbox(
        f"on_status_updated of {runner.kind}",
        partial(_call_hook, runner),
        parcel=Steps,
        senders=MAX_HOOKS,
        pauses=False,
        max_waiting=MAX_WAITING_FOR_HOOK,
    )


def _outbox[Change](receiver: object, of: str, make: Callable[[], Outbox[Change]]) -> Outbox[Change]:
    outboxes = _outboxes.get()
    found = outboxes.get((id(receiver), of))
    if found is None:
        for key in [key for key, outbox in outboxes.items() if outbox.is_forgettable]:
            del outboxes[key]
        found = outboxes[id(receiver), of] = make()
    return found


async def _push(notifier: Notifier, user_id: str, changes: Sequence[QueuedJob | Changed]) -> None:
    jobs = [change for change in changes if isinstance(change, QueuedJob)]
    removed = [change for change in changes if isinstance(change, Changed)]
    if jobs:
        await notifier.job_changed(*jobs)
    if removed:
        await notifier.jobs_removed(user_id, removed)


async def _push_output(notifier: OutputNotifier, user_id: str, segments: Sequence[Segment]) -> None:
    for segment in segments:
        await notifier.output_appended(user_id, segment)


async def _call_hook(runner: JobRunner[Any, Any], job_id: str, changes: Sequence[QueuedJob]) -> None:
    for change in changes:
        await call_hook(runner.on_status_updated, change)


def _is_immediate(notifier: object) -> bool:
    return bool(getattr(notifier, "immediate", False))


def _push_now(push: Awaitable[None], notifier: object) -> None:
    """Run a push that never suspends, synchronously."""
    steps = push.__await__()
    try:
        next(steps)
    except StopIteration:
        return
    except Exception:
        logger.exception("%s: a push failed", type(notifier).__name__)
    else:
        logger.error("%s is marked as immediate but its push suspended; the push was dropped", type(notifier).__name__)
