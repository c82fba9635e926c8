"""Quotas and rates at their edges, with everybody at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import httpx
import psycopg
import pytest

from queued_jobs import QueueManager
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.quotas import LimitReached, Limits, Quotas, TooBusy
from queued_jobs.testing import FakeQueues
from queued_jobs.tracker import ANY_USER
from tests.integration.security.conftest import Attacks, Site, another_host, is_problem, running
from tests.support.issuer import Issuer

LIMITS = Limits(active=3, per_day=5, writes_per_minute=10, waiting=20)
# Nobody takes them, so that they stay; on a queue with workers they would be sent again and again, while other tests
# wait to see it empty.
INSERT = """insert into queued_jobs.job (id, kind, queue, user_id, request, status, finished_at, created_at)
            select gen_random_uuid(), 'k', 'nobody', %s, '{}', %s,
                   case when %s in ('pending', 'retrying') then null else clock_timestamp() end,
                   clock_timestamp() - %s::interval from generate_series(1, %s)"""


def insert(url: str, user: str, status: str, number: int, *, age: str = "0 s") -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(INSERT, (user, status, status, age, number))


@pytest.fixture
async def database(jobs_url: str) -> AsyncIterator[Database]:
    database = Database(jobs_url, max_size=8)
    yield database
    await database.close()


async def test_one_of_two_that_race_for_the_last_use(database: Database, jobs_url: str) -> None:
    """Two processes' worth of pools, a hundred calls at once: exactly as many as allowed."""
    other = Database(jobs_url, max_size=8)
    try:
        noting = [Quotas(base, LIMITS).note("key", 7, timedelta(minutes=1)) for base in [database, other] * 50]
        waits = await asyncio.gather(*noting)
    finally:
        await other.close()
    assert sum(not wait for wait in waits) == 7
    assert all(timedelta() <= wait <= timedelta(minutes=1) for wait in waits)
    assert await Quotas(database, LIMITS).note("another key", 7, timedelta(minutes=1)) == timedelta()


async def test_a_use_is_free_again_after_its_time(database: Database, jobs_url: str) -> None:
    quotas, hour = Quotas(database, LIMITS), timedelta(hours=1)
    assert not await quotas.note("key", 2, hour)
    with psycopg.connect(jobs_url, autocommit=True) as connection:
        connection.execute("update queued_jobs.recent_use set at = array[clock_timestamp() - interval '50 min']")
    assert not await quotas.note("key", 2, hour)
    assert timedelta() < await quotas.note("key", 2, hour) <= timedelta(minutes=10)
    with psycopg.connect(jobs_url, autocommit=True) as connection:
        connection.execute("update queued_jobs.recent_use set at[1] = clock_timestamp() - interval '61 min'")
    assert not await quotas.note("key", 2, hour)


async def test_uses_of_long_ago_are_deleted(database: Database, jobs_url: str) -> None:
    quotas = Quotas(database, LIMITS)
    for number in range(4):
        await quotas.note(f"old {number}", 1, timedelta(minutes=1))
    with psycopg.connect(jobs_url, autocommit=True) as connection:
        connection.execute("update queued_jobs.recent_use set last_at = last_at - interval '2 days'")
        for number in range(2):
            await quotas.note(f"new {number}", 1, timedelta(minutes=1))
        rows = connection.execute("select key from queued_jobs.recent_use order by key").fetchall()
    assert rows == [("new 0",), ("new 1",)]


async def check_start(quotas: Quotas, user: str) -> None:
    async with quotas.starting(user) as place:
        place.check()


async def test_what_is_counted(database: Database, jobs_url: str) -> None:
    quotas = Quotas(database, LIMITS)
    insert(jobs_url, "ann", "pending", 2)
    await check_start(quotas, "ann")
    insert(jobs_url, "ann", "retrying", 1)
    with pytest.raises(LimitReached, match="3 unfinished"):
        await check_start(quotas, "ann")
    await check_start(quotas, "bob")
    insert(jobs_url, "cyd", "succeeded", 5, age="2 days")
    await check_start(quotas, "cyd")
    insert(jobs_url, "cyd", "succeeded", 5, age="23 hours")
    with pytest.raises(LimitReached, match="5 jobs in 24 hours") as caught:
        await check_start(quotas, "cyd")
    assert timedelta(minutes=50) < caught.value.retry_after <= timedelta(hours=1)
    insert(jobs_url, "dan", "pending", 17)
    with pytest.raises(TooBusy):
        await check_start(quotas, "bob")


async def test_a_job_for_later_and_a_held_one_count_as_much_as_one_that_is_due(
    database: Database, jobs_url: str
) -> None:
    quotas = Quotas(database, LIMITS)
    insert(jobs_url, "ann", "pending", 3)
    with psycopg.connect(jobs_url, autocommit=True) as connection:
        connection.execute("update queued_jobs.job set available_at = '9999-12-31Z', next_send_at = '9999-12-31Z'")
    with pytest.raises(LimitReached, match="3 unfinished"):
        await check_start(quotas, "ann")
    with pytest.raises(TooBusy):
        await check_start(Quotas(database, Limits(active=9, per_day=9, writes_per_minute=9, waiting=3)), "bob")


@pytest.fixture(scope="module")
def limited(signed: Site, issuer: Issuer) -> Iterator[Site]:
    """A site with the limits that are used where none are set."""
    host = another_host(signed.stack, **issuer.settings)
    with running(host), closing(Site(host, signed.stack, issuer)) as site:
        yield site


def max_concurrent(site: Site, who: str, number: int) -> list[httpx.Response]:
    site.token(who)

    def post(_: int) -> httpx.Response:
        return site.call(who, "POST", "/api/jobs/packer", json={"prefix": "x" * 300})

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(post, range(number)))


def test_a28_a29_fifty_at_once_are_ten(limited: Site, attacks: Attacks) -> None:
    url = limited.stack.database_url
    insert(url, limited.user_id("quota"), "pending", 5)
    answers = max_concurrent(limited, "quota", 50)
    accepted = [answer for answer in answers if answer.status_code == 202]
    for answer in answers:
        if answer.status_code != 202:
            assert is_problem(answer, 429)
            assert int(answer.headers["retry-after"]) >= 1
    with psycopg.connect(url) as connection:
        active = connection.execute(
            "select count(*) from queued_jobs.job where user_id = %s and status <> 'failed'",
            (limited.user_id("quota"),),
        ).fetchone()
    # those that have failed meanwhile made room
    assert len(accepted) >= 5
    assert active is not None
    assert active[0] <= 10
    attacks.note("A29", "50 starts at once with 5 of 10 places taken", [answer.status_code for answer in answers])


def test_a29_retries_at_once_take_the_last_places_and_no_more(limited: Site, attacks: Attacks) -> None:
    url, user = limited.stack.database_url, limited.user_id("retrier")
    insert(url, user, "failed", 12)
    with psycopg.connect(url) as connection:
        rows = connection.execute("select id from queued_jobs.job where user_id = %s", (user,)).fetchall()
    insert(url, user, "pending", 8)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda row: limited.call("retrier", "POST", f"/api/jobs/{row[0]}/retry"), rows))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [202] * 2 + [429] * 10
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
    attacks.note("A29", "12 retries at once with 8 of 10 places taken", statuses)


async def test_every_run_counts_however_it_was_started(database: Database, jobs_url: str) -> None:
    """New jobs, retries by their owner, by an admin and in bulk, and jobs that are gone: five runs are five runs."""
    quotas = Quotas(database, LIMITS)
    repository = PostgresRepository(database)
    tracker = QueueManager((), repository=repository, queues=FakeQueues()).tracker
    insert(jobs_url, "ann", "failed", 1, age="2 days")
    with psycopg.connect(jobs_url) as connection:
        ((key,),) = connection.execute("select id from queued_jobs.job").fetchall()

    def fail() -> None:
        with psycopg.connect(jobs_url, autocommit=True) as connection:
            connection.execute(
                "update queued_jobs.job set status = 'failed', finished_at = clock_timestamp() - interval '2 days'"
            )

    await tracker.retry(key, user_id="ann", transaction=quotas.restarting("ann"))
    fail()
    await tracker.retry(key, user_id=ANY_USER)
    fail()
    assert (await tracker.retry_all(JobQuery(user_id="ann"))).changed == 1
    fail()
    insert(jobs_url, "ann", "succeeded", 1)
    await check_start(quotas, "ann")
    insert(jobs_url, "ann", "succeeded", 1)
    for rows in (3, 1):
        with pytest.raises(LimitReached) as caught:
            await tracker.retry(key, user_id="ann", transaction=quotas.restarting("ann"))
        assert timedelta(hours=23) < caught.value.retry_after <= timedelta(days=1)
        # jobs that retention deletes have run all the same
        assert await repository.prune(older_than=timedelta(), limit=10) == rows
        insert(jobs_url, "ann", "failed", 1, age="2 days")
        with psycopg.connect(jobs_url) as connection:
            ((key,),) = connection.execute("select id from queued_jobs.job").fetchall()
    await check_start(quotas, "bob")
    with psycopg.connect(jobs_url, autocommit=True) as connection:
        connection.execute("update queued_jobs.past_run set at = at - interval '1 day'")
        await check_start(quotas, "ann")
        assert await repository.prune_notes(older_than=timedelta(days=30), limit=3) == 3
        assert await repository.prune_notes(older_than=timedelta(days=30), limit=3) == 2
        assert connection.execute("select count(*) from queued_jobs.past_run").fetchone() == (0,)


def test_a29_retries_at_once_do_not_pass_the_quota_of_a_day(limited: Site, attacks: Attacks, issuer: Issuer) -> None:
    host = another_host(limited.stack, **issuer.settings, MAX_JOBS_PER_DAY="5", MAX_ACTIVE_JOBS="100")
    with running(host), closing(Site(host, limited.stack, issuer)) as site:
        url, user = site.stack.database_url, site.user_id("daily")
        insert(url, user, "failed", 12, age="2 days")
        with psycopg.connect(url) as connection:
            rows = connection.execute("select id from queued_jobs.job where user_id = %s", (user,)).fetchall()
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda row: site.call("daily", "POST", f"/api/jobs/{row[0]}/retry"), rows))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [202] * 5 + [429] * 7
    attacks.note("A29", "12 retries at once with 5 runs a day", statuses)


def test_a28_the_sixty_first_write_in_a_minute(limited: Site, attacks: Attacks) -> None:
    limited.token("writer")

    def post(_: int) -> httpx.Response:
        return limited.call("writer", "POST", "/api/jobs/seen", content=b"no json")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(80)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 20
    assert limited.call("writer", "DELETE", f"/api/jobs/{uuid4()}").status_code == 429, "that is a change too"
    assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
    assert limited.call("writer", "GET", "/api/jobs/mine").status_code == 200
    assert limited.call("other", "POST", "/api/jobs/clear-finished").status_code == 200
    attacks.note("A28", "80 writes of one user at once", [answer.status_code for answer in answers])


def test_a44_retry_cancel_clear_and_undo_at_once(signed: Site, attacks: Attacks) -> None:
    """In any order: each is carried out or refused, and what the bell shows afterwards is what each job says."""
    url, user = signed.stack.database_url, signed.user_id("hasty")
    insert(url, user, "failed", 5)
    with psycopg.connect(url) as connection:
        rows = connection.execute("select id::text from queued_jobs.job where user_id = %s", (user,)).fetchall()
    keys = [row[0] for row in rows]
    calls: list[tuple[str, str, dict[str, object] | None]] = []
    for _ in range(8):
        for key in keys:
            calls += [("POST", f"/api/jobs/{key}/retry", None), ("POST", f"/api/jobs/{key}/cancel", None)]
            calls += [("DELETE", f"/api/jobs/{key}", None)]
        calls += [("POST", "/api/jobs/clear-finished", None), ("POST", "/api/jobs/seen", {"ids": keys})]
        calls += [("POST", "/api/jobs/undo-clear", {"ids": keys, "since": "2020-01-01T00:00:00Z"})]
    random.Random(44).shuffle(calls)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda call: signed.call("hasty", call[0], call[1], json=call[2]), calls))
    for answer in answers:
        assert answer.status_code in (200, 202, 204) or is_problem(answer, 409), answer.text
    bell = {job["id"]: job for job in signed.call("hasty", "GET", "/api/jobs/mine").json()["items"]}
    for key in keys:
        job = signed.call("hasty", "GET", f"/api/jobs/{key}").json()
        assert (key in bell) == (job["clearedAt"] is None)
        assert job["status"] in ("failed", "cancelled", "pending")
        assert (job["finishedAt"] is None) == (job["status"] == "pending")
    attacks.note("A44", "retries, cancels, clears and undos at once", [answer.status_code for answer in answers])


def test_a30_too_many_jobs_wait(limited: Site, attacks: Attacks, issuer: Issuer) -> None:
    host = another_host(limited.stack, **issuer.settings, MAX_WAITING_JOBS="5")
    insert(limited.stack.database_url, "somebody", "pending", 5)
    with running(host), closing(Site(host, limited.stack, issuer)) as site:
        answers = [site.call("newcomer", "POST", "/api/jobs/packer", json={}) for _ in range(3)]
        for answer in answers:
            assert is_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        assert site.call("newcomer", "GET", "/api/jobs/mine").status_code == 200
    attacks.note("A30", "starts while five wait of five", [answer.status_code for answer in answers])


def test_a14_wrong_invites(invited: Site, attacks: Attacks) -> None:
    def post(number: int) -> httpx.Response:
        return invited.http.post("/api/session", json={"invite": f"wrong {number}"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(30)))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [401] * 5 + [429] * 25
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)
    right = invited.http.post("/api/session", json={"invite": invited.stack.invite})
    assert right.status_code == 200, "nobody can lock out those with a right link"
    attacks.note("A14", "30 wrong links at once", list(statuses))
