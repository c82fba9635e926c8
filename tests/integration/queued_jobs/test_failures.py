"""Failures by fingerprint: what is taken for the same, and the groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from queued_jobs.dashboard.failures import FailureGroup
from queued_jobs.errors import InvalidRequest
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError, JobKey
from tests.integration.queued_jobs.conftest import Shop

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

SAME = [
    ("row 17 of 20", "row 3 of 4,000", "row <n> of <n>"),
    ("took 1.5 s at 2026-01-02T10:11:12", "took 30 s at 2025-12-31T23:59:59", "took <n> s at <n>T<n>"),
    (
        "job 0199f3a1-7b5c-7def-8123-0123456789ab is gone",
        "job 0199F3A1-0000-7DEF-8123-ABCDEFABCDEF is gone",
        "job <id> is gone",
    ),
    ("<Foo object at 0x7f3a2b1c>", "<Foo object at 0xdeadbeef>", "<Foo object at <id>>"),
    ("blob 9f86d081884c7d65 missing", "blob 1a79a4d60de6718e missing", "blob <id> missing"),
    ("token x7Gk93LmQpR2sT8v refused", "token a1B2c3D4e5F6g7H8i9 refused", "token <id> refused"),
    ("No such file: 'a.txt'", "No such file: 'b c (1).txt'", "No such file: <text>"),
    ('column "amount" is "x"', 'column "name" is ""', "column <text> is <text>"),
    ("unknown command `ls -l`", "unknown command `cat`", "unknown command <text>"),
    ("can't open 'a' for b's sake", "can't open 'z' for b's sake", "can't open <text> for b's sake"),
    ("timeout\nCaused by: socket 4", "timeout\nCaused by: another thing", "timeout"),
    ("10.0.0.1:8080 refused", "192.168.17.3:443 refused", "<n> refused"),
    ("x" * 600 + "tail", "x" * 600 + "other tail", "x" * 500),
    ("", "", ""),
]
APART = [
    ("division by zero", "division by nothing"),
    ("file not found", "file not readable"),
    ("deadbeef", "cafecafe"),  # words of these letters alone are words
    ("connection_pool is empty", "connection_list is empty"),
    ("it's a", "it's b"),
]


async def normalised(shop: Shop, *messages: str) -> list[str]:
    async with shop.database.connection() as conn:
        rows = await (
            await conn.execute(
                "select queued_jobs.normalised(message) as text"
                " from unnest(%s::text[]) with ordinality as u (message, n) order by n",
                (list(messages),),
            )
        ).fetchall()
    return [row["text"] for row in rows]


async def test_what_is_taken_for_the_same(shop: Shop) -> None:
    for one, other, text in SAME:
        assert await normalised(shop, one, other) == [text, text]


async def test_what_is_kept_apart(shop: Shop) -> None:
    for one, other in APART:
        first, second = await normalised(shop, one, other)
        assert first != second


async def fail(shop: Shop, type_: str, message: str, **options: str) -> JobKey:
    job = await shop.running(**options)
    assert await shop.repository.fail(job, JobError(type=type_, message=message), retry_in=None) is not None
    return job.id


async def groups(shop: Shop, window: timedelta = HOUR) -> list[FailureGroup]:
    """The groups, which have to be the same before and after they are summed up."""
    live = (await shop.tracker.failures(window=window)).groups
    await shop.repository.tally(limit=500)
    assert (await shop.tracker.failures(window=window)).groups == live
    return list(live)


class TestGroups:
    async def test_the_largest_first_with_an_example(self, shop: Shop) -> None:
        assert await groups(shop) == []
        await fail(shop, "OSError", "no file 'a'")
        boom = [await fail(shop, "Boom", f"row {number}") for number in range(3)]
        await shop.repository.fail(await shop.running(), JobError(type="Flaky", message="again"), retry_in=HOUR)
        await shop.succeeded()
        first, second = await groups(shop)
        assert (first.type, first.message, first.failures, first.kinds) == ("Boom", "row <n>", 3, ("demo",))
        assert type(first.failures) is int
        assert first.example == boom[-1]
        assert (second.type, second.message, second.failures) == ("OSError", "no file <text>", 1)
        job = await shop.tracker.get(boom[0], user_id="ann")
        last = await shop.tracker.get(boom[-1], user_id="ann")
        assert job.finished_at is not None
        assert last.finished_at is not None
        assert abs(first.first_at - job.finished_at) < timedelta(seconds=1)
        assert abs(first.last_at - last.finished_at) < timedelta(seconds=1)
        assert first.first_at < first.last_at

    async def test_summed_up_and_not_yet_are_one_group(self, shop: Shop) -> None:
        earlier = await fail(shop, "Boom", "row 1")
        (before,) = await groups(shop)
        later = await fail(shop, "Boom", "row 2")
        (after,) = await groups(shop)
        assert (before.example, after.example) == (earlier, later)
        assert (after.failures, after.fingerprint, after.first_at) == (2, before.fingerprint, before.first_at)

    async def test_the_same_text_of_another_type_is_another_group(self, shop: Shop) -> None:
        await fail(shop, "Boom", "row 1")
        await fail(shop, "Bang", "row 1")
        found = await groups(shop)
        assert {group.type for group in found} == {"Boom", "Bang"}
        assert len({group.fingerprint for group in found}) == 2

    async def test_lost_workers_and_time_limits_have_groups_too(self, shop: Shop) -> None:
        for column in ("lease_until", "deadline_at"):
            await shop.running()
            async with shop.database.connection() as conn:
                await conn.execute(
                    f"update queued_jobs.job set {column} = created_at - interval '1 day', max_attempts = 1"  # noqa: S608
                    " where status = 'running'"
                )
            await shop.repository.rescue(limit=10)
        assert {(group.type, group.message) for group in await groups(shop)} == {
            ("worker-lost", "The worker stopped responding during attempt <n>."),
            ("timeout", "Attempt <n> exceeded its timeout."),
        }

    async def test_an_end_without_an_attempt_has_a_group(self, shop: Shop) -> None:
        job = (await shop.queue()).job
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.job set poisoned_gen = dispatch_gen, poisoned_count = 5, poisoned_until = now()"
            )
        await shop.repository.poisoned(JobMessage.of(job))
        (group,) = await groups(shop)
        assert (group.type, group.example) == ("poison", job.id)

    async def test_a_window_begins_with_an_hour_or_a_day(self, shop: Shop) -> None:
        now = datetime.now(UTC)
        await fail(shop, "Boom", "row 1")
        await fail(shop, "Boom", "row 2")
        async with shop.database.connection() as conn:
            await conn.execute(
                "update queued_jobs.attempt set ended_at = ended_at - interval '3 hours' where tallied is false"
            )
        await fail(shop, "Boom", "row 3")
        assert [group.failures for group in await groups(shop)] == [1]
        assert [group.failures for group in await groups(shop, 4 * HOUR)] == [3]
        assert (await shop.tracker.failures(window=HOUR)).since >= now.replace(minute=0, second=0, microsecond=0) - HOUR
        assert (await shop.tracker.failures(window=30 * DAY)).since.hour == 0

    @pytest.mark.parametrize("window", [timedelta(), -HOUR, 401 * DAY, timedelta.max], ids=str)
    async def test_windows_that_are_not_kept(self, shop: Shop, window: timedelta) -> None:
        with pytest.raises(InvalidRequest):
            await shop.tracker.failures(window=window)
