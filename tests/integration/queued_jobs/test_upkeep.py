"""What a minute of a hundred jobs a second leaves behind is gone after one sweep, whatever it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest

from queued_jobs import QueuedJob
from queued_jobs.sweeper import Sweeper
from tests.integration.queued_jobs.conftest import Answer, Demo, Shop

#: Of a minute, which is how often the cloud sweeps.
JOBS = 6_000
#: Of a sweep, in tests that count: enough for any machine, however slow.
LONG = timedelta(hours=1)


@dataclass(frozen=True)
class Leftover:
    """What a minute adds, and how much of that there is that should be gone."""

    added: str
    left: str


LEFTOVERS = {
    "lost workers": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, status, attempt, lease_token, lease_until, deadline_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', 'running', 1,
              gen_random_uuid(), now() - interval '1 minute', now() + interval '1 hour'
            from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.job where status = 'running' and lease_until < now()",
    ),
    "unsent messages": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, next_send_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', now() - interval '1 minute'
            from generate_series(1, %(jobs)s)
        """,
        left="""
            select count(*) as n from queued_jobs.job
            where sent_gen < dispatch_gen and status in ('pending', 'retrying') and next_send_at <= now()
        """,
    ),
    "silent messages": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, sent_gen, next_send_at, available_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', 1,
              now() - interval '1 hour', now() - interval '1 hour' from generate_series(1, %(jobs)s)
        """,
        left="""
            select count(*) as n from queued_jobs.job
            where sent_gen >= dispatch_gen and status = 'pending' and next_send_at < now() - interval '30 minutes'
        """,
    ),
    "follow-ups": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, after_batch, available_at, next_send_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', gen_random_uuid(),
              '9999-12-31Z', '9999-12-31Z' from generate_series(1, %(jobs)s)
        """,
        left="""
            select count(*) as n from queued_jobs.job where after_batch is not null and available_at = '9999-12-31Z'
        """,
    ),
    "lines": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, concurrency_key, parked_at, next_send_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', gen_random_uuid()::text,
              now(), now() + interval '10 minutes' from generate_series(1, %(jobs)s)
        """,
        left="""
            select count(*) as n from queued_jobs.job
            where concurrency_key is not null and parked_at is not null and status = 'pending' and next_send_at > now()
        """,
    ),
    "old results": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, status, result, finished_at, next_send_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '31 days', 'succeeded',
              '{"text": "x"}', now() - interval '31 days', now() - interval '31 days' from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.job where result is not null",
    ),
    "old jobs": Leftover(
        added="""
            insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, status, finished_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '31 days', 'failed',
              now() - interval '31 days' from generate_series(1, %(jobs)s)
        """,
        left="""
            select count(*) as n from queued_jobs.job where finished_at < now() - interval '30 days' and result is null
        """,
    ),
    "ended attempts": Leftover(
        added="""
            with done as (
              insert into queued_jobs.job
              (id, kind, queue, user_id, request, created_at, status, attempt, finished_at)
              select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', now() - interval '1 day', 'succeeded', 1, now()
              from generate_series(1, %(jobs)s) returning id)
            insert into queued_jobs.attempt
              (job_id, gen, attempt, worker_id, lease_token, due_at, started_at, ended_at, outcome)
            select id, 1, 1, 'w', gen_random_uuid(), now(), now(), now(), 'succeeded' from done
        """,
        left="select count(*) as n from queued_jobs.attempt where not tallied and ended_at is not null",
    ),
    "new jobs": Leftover(
        added="""
            with counted as (
              update queued_jobs.tally_turn set created_until = now() - interval '7 days' returning created_until)
            insert into queued_jobs.job (id, kind, queue, user_id, request, created_at, status, finished_at)
            select gen_random_uuid(), 'demo', 'demo', 'ann', '{}', created_until + n * interval '1 minute', 'failed',
              now() from counted, generate_series(1, %(jobs)s) n
        """,
        left="""
            select count(*) as n from queued_jobs.job
            where created_at >= (select created_until from queued_jobs.tally_turn)
              and created_at < now() - interval '11 minutes'
        """,
    ),
    "rejected messages": Leftover(
        added="""
            insert into queued_jobs.rejected_message (queue, reason, body_sha256, body_start, received_at)
            select 'demo', 'odd', sha256(gen_random_uuid()::text::bytea), '', now() - interval '31 days'
            from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.rejected_message",
    ),
    "uses": Leftover(
        added="""
            insert into queued_jobs.recent_use (key, at, last_at)
            select gen_random_uuid()::text, '{}', now() - interval '2 days' from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.recent_use",
    ),
    "minutes": Leftover(
        added="""
            insert into queued_jobs.tally (grain, at, kind, created)
            select 'minute', now() - interval '3 days', gen_random_uuid()::text, 1 from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.tally where grain = 'minute' and at < now() - interval '50 hours'",
    ),
    "hours": Leftover(
        added="""
            insert into queued_jobs.tally (grain, at, kind, created)
            select 'hour', now() - interval '9 days', gen_random_uuid()::text, 1 from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.tally where grain = 'hour' and at < now() - interval '8 days'",
    ),
    "days": Leftover(
        added="""
            insert into queued_jobs.tally (grain, at, kind, created)
            select 'day', now() - interval '500 days', gen_random_uuid()::text, 1 from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.tally where grain = 'day' and at < now() - interval '400 days'",
    ),
    "durations of hours": Leftover(
        added="""
            insert into queued_jobs.latency (grain, at, kind, step, waits)
            select 'hour', now() - interval '9 days', gen_random_uuid()::text, 1, 1 from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.latency where grain = 'hour' and at < now() - interval '8 days'",
    ),
    "durations of days": Leftover(
        added="""
            insert into queued_jobs.latency (grain, at, kind, step, waits)
            select 'day', now() - interval '500 days', gen_random_uuid()::text, 1, 1 from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.latency where grain = 'day' and at < now() - interval '400 days'",
    ),
    "failures of hours": Leftover(
        added="""
            insert into queued_jobs.failure
              (grain, at, kind, fingerprint, type, message, failures, first_at, last_at, example)
            select 'hour', now() - interval '9 days', 'demo', gen_random_uuid()::text, 'E', '', 1, now(), now(),
              gen_random_uuid() from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.failure where grain = 'hour' and at < now() - interval '8 days'",
    ),
    "failures of days": Leftover(
        added="""
            insert into queued_jobs.failure
              (grain, at, kind, fingerprint, type, message, failures, first_at, last_at, example)
            select 'day', now() - interval '500 days', 'demo', gen_random_uuid()::text, 'E', '', 1, now(), now(),
              gen_random_uuid() from generate_series(1, %(jobs)s)
        """,
        left="select count(*) as n from queued_jobs.failure where grain = 'day' and at < now() - interval '400 days'",
    ),
}


class Filed(Demo):
    """Its results refer to something that has to go with them."""

    kind = "demo"
    removed: ClassVar[int] = 0

    async def on_result_expired(self, job: QueuedJob, result: Answer) -> None:
        Filed.removed += 1


async def left_over(shop: Shop, what: str) -> int:
    async with shop.database.connection() as conn:
        row = await (await conn.execute(LEFTOVERS[what].left.encode())).fetchone()
    assert row is not None
    return int(row["n"])


async def add(shop: Shop, what: str) -> None:
    async with shop.database.connection() as conn:
        await conn.execute(LEFTOVERS[what].added.encode(), {"jobs": JOBS})


@pytest.mark.parametrize("what", LEFTOVERS)
async def test_a_sweep_each_minute_keeps_up_with_a_hundred_jobs_a_second(shop: Shop, what: str) -> None:
    runner = Filed(shop.backend)
    sweeper = Sweeper(shop.backend, runners=[runner], time=LONG)
    Filed.removed = 0
    left = []
    for _ in range(2):
        await add(shop, what)
        assert await left_over(shop, what) >= JOBS
        await sweeper.run_once()
        left.append(await left_over(shop, what))
    assert left == [0, 0], "what is past its time must not pile up"
    assert Filed.removed == (2 * JOBS if what == "old results" else 0)


async def test_a_sweep_that_is_too_short_does_a_part_of_everything_and_says_what_is_left(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    for what in LEFTOVERS:
        await add(shop, what)
    before = {what: await left_over(shop, what) for what in LEFTOVERS}
    sweeper = Sweeper(shop.backend, time=timedelta())
    report = await sweeper.run_once()
    after = {what: await left_over(shop, what) for what in LEFTOVERS}
    waits = {what for what in LEFTOVERS if after[what] >= before[what]}
    assert waits <= {"unsent messages", "old jobs"}, "to these the other duties have added more"
    assert report.sent > 0
    assert set(report.behind) == {
        "rescue",
        "follow up",
        "wake lines",
        "resend",
        "send",
        "tally",
        "expire",
        "prune",
        "prune notes",
        "fold statistics",
    }
    (warning,) = [record for record in caplog.records if "did not finish within" in record.getMessage()]
    assert (warning.levelname, warning.args) == ("WARNING", (0, ", ".join(report.behind)))
    for _ in range(100):
        if not (report := await sweeper.run_once()).behind:
            break
    assert report.behind == ()
    assert {what: await left_over(shop, what) for what in LEFTOVERS} == dict.fromkeys(LEFTOVERS, 0)
