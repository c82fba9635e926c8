"""Code of the runner and its neighbours, broken on purpose, and what has to notice: the walks, or a test by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from queued_jobs import QueuedJob
from tests.unit.queued_jobs import (
    test_children,
    test_garbage,
    test_outages,
    test_outbox,
    test_outcomes,
    test_pushed_output,
    test_sweeper,
)
from tests.unit.queued_jobs.conftest import World

type Check = Callable[[], Awaitable[None]]


class CodeMutant(NamedTuple):
    """A place in `queued_jobs`, the text there, and what takes its place. Without a check the walks notice."""

    place: str
    old: str
    new: str
    check: Check | None = None

    @property
    def module(self) -> str:
        return f"queued_jobs.{self.place.split(':')[0]}"

    @property
    def function(self) -> str:
        return self.place.split(":")[1]


_success, _failure, _away = test_outcomes.TestSuccess(), test_outcomes.TestFailure(), test_outages.TestStoreAway()
_order, _hangs = test_outbox.TestOrder(), test_outbox.TestAHubThatHangs()
_output = test_pushed_output.TestWhatWaits()


def _with_a_row(test: Callable[[QueuedJob], Awaitable[None]]) -> Check:
    async def check() -> None:
        await test(await World().queued())

    return check


CODE_MUTANTS: dict[str, CodeMutant] = {
    # the runner
    "a finish is not tried again": CodeMutant(
        "_executor:_Attempt._stored",
        "if time.monotonic() + delay >= self._lease.until:",
        "if unsure:",
        lambda: _away.test_a_finish_is_tried_again(World()),
    ),
    "a stored finish whose reply was lost does not count": CodeMutant(
        "_executor:_Attempt._stored",
        "done is None and unsure",
        "done is None and not unsure",
        lambda: _away.test_a_finish_whose_reply_was_lost_counts(World()),
    ),
    "a finish that could not be stored is acknowledged": CodeMutant(
        "_executor:_Attempt._stored",
        "                    raise\n",
        "                    return None\n",
        lambda: _away.test_when_the_lease_is_over_the_host_gets_to_know(World()),
    ),
    "a push that fails is raised": CodeMutant(
        "announcements:_push_now",
        'logger.exception("%s: a push failed", type(notifier).__name__)',
        "raise",
        lambda: _success.test_a_notifier_that_always_raises_changes_nothing(World()),
    ),
    "of two changes the older one is pushed": CodeMutant(
        "parcels:Newest.add",
        "known.version <= change.version",
        "known.version >= change.version",
        _with_a_row(_order.test_what_waits_is_pushed_once_in_its_newest_version),
    ),
    "output that has a gap is joined": CodeMutant(
        "chunks:Segment.joined",
        "and other.after == self.last",
        "",
        _output.test_one_that_does_not_follow_costs_the_texts,
    ),
    "output that waits has no bound": CodeMutant(
        "parcels:Segments.add",
        "> MAX_SEGMENT_BYTES",
        "> 9 * MAX_SEGMENT_BYTES",
        _output.test_one_owner_s_jobs_share_the_room_for_texts,
    ),
    "an owner has two pushes under way": CodeMutant(
        "outbox:Outbox._send_all",
        "self._busy.add(key)",
        "self._busy",
        _with_a_row(_order.test_versions_of_one_owner_never_fall_however_long_pushes_take),
    ),
    "what waits has no bound": CodeMutant(
        "outbox:Outbox._drop_down_to",
        "while self._count > most:",
        "while self._count > 9 * most:",
        _with_a_row(_hangs.test_ten_thousand_changes_and_more_take_bounded_memory),
    ),
    "one push is what a hub that is away costs for ever": CodeMutant(
        "outbox:Outbox._resume",
        "self._start()",
        "pass",
        _with_a_row(_hangs.test_a_pause_has_an_end),
    ),
    "a cancel that nobody asked for is honoured": CodeMutant(
        "_executor:_Attempt._outcome", "if not self._ctx.cancel_requested:", "if self._ctx.cancel_requested:"
    ),
    "a release counts as a failed attempt": CodeMutant(
        "_executor:_Attempt._release",
        "self._repository.release(self._job)",
        'self._repository.fail(self._job, describe_error(OSError("shut down")), retry_in=timedelta())',
    ),
    "a retry is not sent": CodeMutant(
        "_executor:_Attempt.run", "if not done.status.is_final:", "if done.status.is_final:"
    ),
    "a result that comes too late is not cleaned up": CodeMutant(
        "_executor:_Attempt._finish", "done is None or done.status", "done is not None and done.status"
    ),
    "a result that cannot be stored is not cleaned up": CodeMutant(
        "_executor:_Attempt._finish", "done is None or done.status is not JobStatus.SUCCEEDED", "done is None"
    ),
    "a stored result is cleaned up": CodeMutant(
        "_executor:_Attempt._finish", "done is None or done.status is not JobStatus.SUCCEEDED", "done"
    ),
    "the number of the attempt delays the next one, not the number of tries": CodeMutant(
        "_executor:_Attempt._failing",
        "job.tries",
        "job.attempt",
        lambda: _failure.test_a_retry_by_hand_waits_as_short_as_a_new_job(World()),
    ),
    "a name of an attempt comes back": CodeMutant("context:JobContext.__init__", "token.hex", "job.id.hex"),
    "another kind counts what is poisoned": CodeMutant(
        "runner:JobRunner.receive_poison", ", queues=self.queues_of_kind()", ""
    ),
    "another kind puts a job off": CodeMutant(
        "_executor:execute",
        ", queues=runner.queues_of_kind()",
        "",
        lambda: test_garbage.test_a_message_on_another_kinds_queue_touches_no_job(World()),
    ),
    "a message that came too early is dropped": CodeMutant(
        "_executor:execute",
        "await repository.defer(message, kind=kind, schema_version=version, queues=runner.queues_of_kind())",
        "None",
    ),
    "a result larger than allowed is stored": CodeMutant(
        "_outcome:dump_result",
        "if size > MAX_RESULT_BYTES:",
        "if size > 9 * MAX_RESULT_BYTES:",
        lambda: _failure.test_a_result_that_cannot_be_kept_fails_at_once(World(), "x" * 300_000, "result-too-large"),
    ),
    "a permanent error is tried again": CodeMutant("retry:RetryPolicy.retry_in", "return None", "return self.base"),
    "the body's own errors are all permanent": CodeMutant(
        "retry:RetryPolicy.retry_in",
        "return self.delay(attempt)",
        "return None",
        lambda: _failure.test_an_error_is_kept_and_the_job_sent_again_later(World()),
    ),
    "the body's wish for later is forgotten": CodeMutant(
        "retry:RetryPolicy.retry_in", "return error.after", "return self.base"
    ),
    "a body that lost its job may commit": CodeMutant(
        "context:JobContext.complete", "if done is None:", "if done is not None:"
    ),
    "poison does not wake the job": CodeMutant(
        "runner:JobRunner.receive_poison",
        "await self.repository.poisoned(message, queues=self.queues_of_kind())",
        "None",
    ),
    # enqueue and dispatch
    "the message is sent before the commit": CodeMutant("enqueue:queue_job", "if conn is None:", "if user_id:"),
    "a duplicate sends a message of its own": CodeMutant(
        "handle:send_all", "if not handle.duplicate and not handle.sent]", "if not handle.sent]"
    ),
    "a second call of send sends again": CodeMutant(
        "handle:send_all", "if not handle.duplicate and not handle.sent]", "if not handle.duplicate]"
    ),
    # children
    "equal children are one": CodeMutant(
        "children:_Numbers.take",
        "self._next += 1",
        "self._next = 1",
        test_children.test_equal_ones_that_start_together_are_as_many_as_were_asked_for,
    ),
    "a repeated attempt starts its children again": CodeMutant(
        "children:Children.queue",
        "child:{self._parent.id}:",
        "child:{self._parent.id}:{self._parent.attempt}:",
        lambda: test_children.test_each_child_starts_once_however_often_the_body_runs(test_children.Parent),
    ),
    "a child that was rolled back keeps its number": CodeMutant(
        "children:Children.queue",
        "on_rollback.push(stored)",
        "pass",
        test_children.test_what_is_rolled_back_was_never_there,
    ),
    "a child of a transaction is not sent": CodeMutant(
        "children:Children.queue",
        "handles.append(handle)",
        "pass",
        test_children.test_what_is_rolled_back_was_never_there,
    ),
    "a result that expired is none": CodeMutant(
        "handle:JobHandle._result_of",
        "raise ResultExpired",
        "return None",
        test_children.test_a_result_that_has_expired_is_another_error_than_one_that_never_was,
    ),
    "what the queue refused is marked as sent": CodeMutant("dispatch:Dispatcher._sends", "return False", "return True"),
    "a far message is hidden on the queue": CodeMutant(
        "dispatch:Dispatcher.send", "if one.delay <= MAX_DELAY", "if one.delay is not None"
    ),
    "what was sent is not marked": CodeMutant("dispatch:Dispatcher._mark", "if not sent:", "if sent:"),
    "a mark that fails is raised": CodeMutant(
        "dispatch:Dispatcher._mark",
        'logger.warning("%d messages were sent but not marked, so they will be sent again: %s", len(sent), exc)',
        "raise",
    ),
    "a key with another request returns the first job": CodeMutant(
        "postgres:PostgresRepository._existing", 'if not row["same_request"]:', 'if row["same_request"] is None:'
    ),
    "another user's job is returned": CodeMutant(
        "postgres:PostgresRepository._existing", 'elif not row["is_mine"]:', 'elif row["is_mine"] is None:'
    ),
    # the sweeper, people, pushes
    "a rescue is not shown": CodeMutant(
        "sweeper:Sweeper._rescue",
        "announce(self._notifier, *rescued)",
        "announce(self._notifier)",
        lambda: test_sweeper.test_a_lost_worker_is_rescued_sent_and_shown_in_one_sweep(World()),
    ),
    "what is owed is not sent": CodeMutant(
        "sweeper:Sweeper.run_once", "await self._repository.unsent(limit=self._limit, queues=self._kind_queues)", "[]"
    ),
    "everybody is an admin": CodeMutant("tracker:JobTracker._whose", '"any_user": any_user', '"any_user": True'),
    "a retry leaves the message to the sweeper": CodeMutant(
        "tracker:JobTracker.retry", ".send([Reserved.of(job)])", ".send([])"
    ),
    "a push carries other users' jobs": CodeMutant(
        "push.signalr:SignalRNotifier.job_changed",
        "if job.user_id == user_id",
        "if job.user_id",
        _with_a_row(test_outbox.test_of_several_owners_each_is_told_of_its_own),
    ),
}
