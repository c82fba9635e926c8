"""The tests of lines, batches and retention are worth something: a statement broken on purpose is noticed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from importlib.resources import files

import pytest

from queued_jobs.database import Database
from queued_jobs.schema import Tables, render_sql, source, statement
from tests.contract import (
    test_batches,
    test_ended,
    test_line,
    test_pauses,
    test_retention,
    test_unknown_kinds,
)
from tests.contract.conftest import Helpers, PostgresStore
from tests.model.contract_mutant import Mutant
from tests.model.erasure_mutants import (
    ERASURE_MUTANTS,
    only_ended_jobs_of_the_user_go,
    only_results_of_the_user_are_taken_once,
)
from tests.model.mutation import NotAMutant, found_by_check
from tests.model.resume_mutants import RESUME_MUTANTS
from tests.model.sql_mutants import SQL_MUTANTS
from tests.model.stream_mutants import STREAM_MUTANTS

_claim, _waiting = test_line.TestClaim(), test_line.TestWaiting()
_lines = test_line.TestLinesThatNobodyWakes()
_resume, _no_message = test_pauses.TestResume(), test_pauses.TestNoMessage()
_add, _follow_up = test_batches.TestAdd(), test_batches.TestFollowUp()
_unknown, _latest = test_unknown_kinds.TestUnknownKinds(), test_unknown_kinds.TestLatestKey()
_running_elsewhere, _succeeded_elsewhere, _result_elsewhere = (
    partial(_unknown.test_a_kind_that_another_process_runs_is_known, outcome=outcome)
    for outcome in ("running", "succeeded", "with a result")
)


MUTANTS = {
    **RESUME_MUTANTS,
    **ERASURE_MUTANTS,
    **STREAM_MUTANTS,
    "a job that has not ended is answered as if it had": Mutant(
        "ended",
        "'succeeded',",
        "'succeeded','running',",
        test_ended.test_a_job_that_has_not_ended_is_not_answered,
    ),
    "an aborted job never ends": Mutant(
        "ended", ",'aborted'", "", test_ended.test_one_that_has_is_answered_whole_however_it_ended
    ),
    "a job that is not there has not ended": Mutant(
        "ended",
        "from queued_jobs.job asked\nleft join queued_jobs.job ended on ended.id = asked.id and",
        "from (select %(id)s::job_key as id) asked\nleft join queued_jobs.job ended on ended.id = asked.id and",
        test_ended.test_a_job_that_is_not_there_is_an_error,
    ),
    "two of a line run at once": Mutant(
        "claim", "and (concurrency_key is null or exists", "and (true or exists", _claim.test_one_at_a_time
    ),
    "the newest goes first": Mutant(
        "claim",
        "< (line.kind, line.concurrency_key, line.its_created_at, line.its_id)",
        "> (line.kind, line.concurrency_key, line.its_created_at, line.its_id)",
        _claim.test_the_oldest_goes_first,
    ),
    "two take one slot": Mutant(
        "claim", "and other.concurrency_slot = slot", "and false", _claim.test_as_many_as_the_kind_allows
    ),
    "other kinds are kept waiting": Mutant(
        "claim", "other.kind = line.kind", "true", _claim.test_others_are_not_kept_waiting
    ),
    "a retry that is not due holds the line up": Mutant(
        "claim",
        "and older.available_at <= clock_timestamp()",
        "",
        _claim.test_a_retry_that_is_not_due_holds_nobody_up,
    ),
    "a place that is free is not told": Mutant(
        "wait_in_line",
        "returning counted.ahead < %(max_concurrent)s as its_turn",
        "returning counted.ahead < 0 * %(max_concurrent)s as its_turn",
        _waiting.test_a_turn_that_came_meanwhile_is_told,
    ),
    "the line is asked again all the time": Mutant(
        "wait_in_line",
        "30 * counted.ahead",
        "0 * counted.ahead",
        _waiting.test_a_place_that_is_given_up_wakes_the_oldest,
    ),
    "a copy of a message puts a job off": Mutant(
        "wait_in_line",
        "case when parked_at is not null then next_send_at end",
        "null::timestamptz",
        _waiting.test_further_messages_put_nobody_off,
    ),
    "the end of a long line waits for hours": Mutant(
        "wait_in_line", "least(600, 30 *", "least(60000, 300 *", _waiting.test_the_wait_is_ten_minutes_at_most
    ),
    "the newest is woken": Mutant(
        "next_in_line",
        "order by created_at, id",
        "order by created_at desc, id desc",
        _waiting.test_a_place_that_is_given_up_wakes_the_oldest,
    ),
    "one is woken twice": Mutant(
        "next_in_line",
        " and parked_at is not null",
        "",
        _waiting.test_one_whose_message_is_on_its_way_is_not_woken,
    ),
    "one is woken that the host gave up on": Mutant(
        "next_in_line",
        "and (poisoned_gen < dispatch_gen or poisoned_until <= clock_timestamp())",
        "",
        _waiting.test_one_that_the_host_gave_up_on_is_not_woken_before_its_pause_is_over,
    ),
    "the sweeper wakes one that the host gave up on": Mutant(
        "wake_lines",
        "and (next.poisoned_gen < next.dispatch_gen or next.poisoned_until <= statement_timestamp())",
        "",
        _lines.test_one_that_the_host_gave_up_on_is_not_woken_before_its_pause_is_over,
    ),
    "a line that nobody woke stands still": Mutant(
        "wake_lines",
        "set next_send_at = clock_timestamp()",
        "set next_send_at = j.next_send_at",
        _lines.test_the_oldest_is_woken_once,
    ),
    "a line is woken whose place is taken": Mutant(
        "wake_lines", "and other.status = 'running')", "and false)", _lines.test_the_oldest_is_woken_once
    ),
    "the sweeper wakes one of two": Mutant(
        "wake_lines",
        "coalesce(allowed.max_concurrent, 1)",
        "least(1, allowed.max_concurrent)",
        _lines.test_two_places_that_came_free_unnoticed_are_for_two,
    ),
    "the sweeper wakes the whole line": Mutant(
        "wake_lines",
        "where standing.places > 0 and",
        "where",
        _lines.test_two_places_that_came_free_unnoticed_are_for_two,
    ),
    "the sweeper wakes those of the line behind": Mutant(
        "wake_lines",
        "and next.kind = standing.kind and next.concurrency_key = standing.concurrency_key",
        "",
        _lines.test_a_place_for_which_nobody_is_due_goes_to_no_other_line,
    ),
    "the sweeper passes over one whose message is on its way": Mutant(
        "wake_lines",
        "case when next.available_at <= statement_timestamp() then 1 else 0 end",
        "case when next.parked_at is not null then 1 else 0 end",
        _lines.test_an_older_one_whose_message_is_on_its_way_takes_the_place,
    ),
    "the sweeper wakes a job that is not due": Mutant(
        "wake_lines",
        "next.available_at <= statement_timestamp() and next.parked_at",
        "next.parked_at",
        _lines.test_one_that_is_not_due_takes_no_place_and_is_not_woken,
    ),
    "the sweeper looks into the first lines only": Mutant(
        "wake_lines",
        "> (%(after_kind)s, %(after_key)s)",
        "> (%(after_kind)s || %(after_key)s || '!', '')",
        _lines.test_any_number_of_lines_is_looked_into_a_few_at_a_time,
    ),
    "another kind's jobs take the places": Mutant(
        "wake_lines",
        "where other.kind = line.kind\n           and other",
        "where other",
        _lines.test_lines_of_other_keys_and_kinds_are_lines_of_their_own,
    ),
    "a follow-up does not wait for the last one": Mutant(
        "follow_up",
        "member.finished_at is null)",
        "member.finished_at is null and false)",
        _follow_up.test_it_may_run_when_all_have_ended_one_way_or_another,
    ),
    "a follow-up is not held": Mutant(
        "enqueue",
        "case when held then",
        "case when held and false then",
        _follow_up.test_it_is_held_for_as_long_as_it_takes,
    ),
    "a follow-up runs again and again": Mutant(
        "follow_up",
        "set available_at = clock_timestamp(), ",
        "set ",
        _follow_up.test_it_may_run_when_all_have_ended_one_way_or_another,
    ),
    "a batch is in disorder": Mutant(
        "batch", "order by created_at, id", "order by created_at desc", _add.test_a_batch_is_read_in_its_order
    ),
    "a job of a paused kind is woken in its line": Mutant(
        "next_in_line", " and paused_at is null", "", _no_message.test_nobody_wakes_it_in_its_line
    ),
    "the sweeper wakes a job of a paused kind": Mutant(
        "wake_lines", " and next.paused_at is null", "", _no_message.test_nobody_wakes_it_in_its_line
    ),
    "jobs of a paused kind are given up": Mutant(
        "end_unknown",
        "and not exists (select from queued_jobs.pause where kind = waiting.kind)",
        "",
        _no_message.test_a_held_job_is_not_sent_again_however_long_it_waits,
    ),
    "a job of a paused kind waits for another worker": Mutant(
        "no_handler",
        "and paused_at is null",
        "",
        _no_message.test_a_worker_that_cannot_run_it_does_not_put_it_off,
    ),
    "the newest of a kind that is resumed goes first": Mutant(
        "wake_paused",
        "order by j.kind, j.created_at, j.id",
        "order by j.kind, j.created_at desc, j.id desc",
        _resume.test_they_are_sent_in_order_of_age_a_few_at_a_time,
    ),
    "a job is held whose kind is not paused": Mutant(
        "claim", "where exists (select from paused) and id", "where id", _claim.test_one_at_a_time
    ),
    "those of a kind that is resumed are sent in any order": Mutant(
        "wake_paused",
        "- placed.behind * interval",
        "+ placed.behind * interval",
        _resume.test_they_are_sent_in_order_of_age_a_few_at_a_time,
    ),
    "a result goes too early": Mutant(
        "expiring",
        "coalesce(own.keep, %(keep)s)",
        "0 * coalesce(own.keep, %(keep)s)",
        test_retention.test_an_old_result_is_dropped_and_that_is_told,
    ),
    "two remove the same result": Mutant(
        "expiring", "interval '1 hour'", "interval '0'", test_retention.test_whoever_looks_has_it_for_an_hour
    ),
    "all kinds go at the same time": Mutant(
        "expiring", "own.keep, ", "", test_retention.test_each_kind_has_its_own_time
    ),
    "an expired result keeps its version": Mutant(
        "expire",
        "version = version + 1",
        "version = version",
        test_retention.test_an_old_result_is_dropped_and_that_is_told,
    ),
    "a follow-up does not find its batch": Mutant(
        "prune",
        "and (batch_id is null or batch_id not in (select after_batch from awaited))",
        "",
        test_retention.test_what_a_follow_up_is_to_read_is_kept_until_it_has_ended,
    ),
    "a follow-up does not find the results of its batch": Mutant(
        "expiring",
        "and (batch_id is null or batch_id not in (select after_batch from awaited))",
        "",
        test_retention.test_what_a_follow_up_is_to_read_is_kept_until_it_has_ended,
    ),
    "jobs of kinds that are known are ended": Mutant(
        "end_unknown",
        "and kind <> all(%(kinds)s::text[])",
        "",
        _unknown.test_those_of_known_kinds_and_younger_ones_wait,
    ),
    "a job of an unknown kind is ended before its time": Mutant(
        "end_unknown",
        "and available_at < statement_timestamp() - make_interval(secs => %(wait)s)",
        "",
        _unknown.test_those_of_known_kinds_and_younger_ones_wait,
    ),
    "a job of an unknown kind is ended twice": Mutant(
        "end_unknown",
        "status in ('pending','retrying') and created",
        "status <> 'running' and created",
        _unknown.test_those_that_wait_for_a_batch_or_have_ended_stay,
    ),
    "a kind that runs elsewhere is unknown": Mutant(
        "end_unknown", "and other.status = 'running')", "and false)", _running_elsewhere
    ),
    "a kind that has ended elsewhere is unknown": Mutant(
        "end_unknown", "in ('succeeded','failed')", "in ('failed')", _succeeded_elsewhere
    ),
    "a kind that has results is unknown": Mutant(
        "end_unknown", "and other.result is not null", "and false", _result_elsewhere
    ),
    "a kind that ended long ago is known": Mutant(
        "end_unknown",
        "other.result is null\n                    and other.finished_at > statement_timestamp()"
        " - make_interval(secs => %(wait)s)",
        "other.result is null",
        _succeeded_elsewhere,
    ),
    "jobs that ended for want of a worker prove one": Mutant(
        "end_unknown",
        "in ('succeeded','failed')",
        "in ('succeeded','failed','aborted')",
        _unknown.test_those_that_ended_for_want_of_a_worker_prove_none,
    ),
    "an ended job of an unknown kind keeps its version": Mutant(
        "end_unknown",
        "version = j.version + 1",
        "version = j.version",
        _unknown.test_after_a_day_they_are_aborted_with_a_reason,
    ),
    "an ended job of an unknown kind has no reason": Mutant(
        "end_unknown", "'no-handler'", "'gone'", _unknown.test_after_a_day_they_are_aborted_with_a_reason
    ),
    "the earliest occurrence is the latest": Mutant(
        "latest_key", "idempotency_key desc", "idempotency_key", _latest.test_it_is_the_greatest_of_this_user_and_kind
    ),
    "another user's occurrence is the latest": Mutant(
        "latest_key",
        "user_id = %(user_id)s and",
        "%(user_id)s::text is not null and",
        _latest.test_it_is_the_greatest_of_this_user_and_kind,
    ),
    "another kind's occurrence is the latest": Mutant(
        "latest_key",
        "kind = %(kind)s and",
        "%(kind)s::text is not null and",
        _latest.test_it_is_the_greatest_of_this_user_and_kind,
    ),
    "any key is an occurrence": Mutant(
        "latest_key",
        "starts_with(idempotency_key, %(prefix)s)",
        "%(prefix)s::text is not null",
        _latest.test_it_is_the_greatest_of_this_user_and_kind,
    ),
    "a prefix is a pattern": Mutant(
        "latest_key",
        "starts_with(idempotency_key, %(prefix)s)",
        "idempotency_key like %(prefix)s || '%%'",
        _latest.test_it_is_the_greatest_of_this_user_and_kind,
    ),
    "the latest occurrence is pruned": Mutant(
        "prune",
        "or exists (\n        select from queued_jobs.job later",
        "or true or exists (\n        select from queued_jobs.job later",
        _latest.test_the_latest_occurrence_is_not_pruned,
    ),
    "a job goes before its result": Mutant(
        "prune", "result is null", "kind is not null", test_retention.test_a_job_goes_after_its_result
    ),
}

#: Statements that change something and are not broken here. Bulk actions, pauses, statistics, quotas and records have
#: their own tests.
OTHERS = {
    *("audit", "cancel_all", "keep_reserved", "pause", "requeue_all", "resume"),
    *("prune_audit", "prune_rejected", "prune_runs", "prune_uses", "tally_attempts", "tally_created", "tally_fold"),
}


def test_each_statement_that_changes_jobs_is_broken_somehow() -> None:
    folder = files("queued_jobs") / "sql" / "statements"
    changing = {
        one.name.removesuffix(".sql")
        for one in folder.iterdir()
        if re.search(r"^(insert into|update|delete from)|\n *(insert into|update|delete from)", one.read_text())
    }
    assert changing - {*SQL_MUTANTS} - {mutant.name for mutant in MUTANTS.values()} == OTHERS


@pytest.fixture
async def jobs(jobs_url: str) -> AsyncIterator[Helpers]:
    database = Database(jobs_url)
    yield Helpers(PostgresStore(database))
    await database.close()


@pytest.mark.parametrize("fault", MUTANTS)
async def test_a_broken_statement_is_noticed(jobs: Helpers, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[fault]
    text = source(mutant.name).decode()
    if mutant.old not in text:
        raise NotAMutant(f"{mutant.name}.sql does not hold {mutant.old!r}")
    broken = render_sql(text.replace(mutant.old, mutant.new).encode())

    def broken_or_not(name: str, tables: Tables) -> bytes:
        return broken if name == mutant.name else statement(name, tables)

    monkeypatch.setattr("queued_jobs.database.statement", broken_or_not)
    assert await found_by_check(lambda: mutant.check(jobs)) is not None, "nobody noticed"


@pytest.mark.parametrize("check", [only_ended_jobs_of_the_user_go, only_results_of_the_user_are_taken_once])
async def test_without_a_mutant_the_checks_that_are_no_tests_find_nothing(
    jobs: Helpers, check: Callable[[Helpers], Awaitable[None]]
) -> None:
    await check(jobs)
