"""The labels in an admin's list: those that the owners see, whatever the kinds and the requests are like."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.dashboard import labels
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.push.view import JobView
from tests.integration.queued_jobs.conftest import Shop

#: The threads that labels were made in.
THREADS: set[int] = set()


class Named(BaseModel):
    name: str = ""


class Greet(JobRunner[Named, Named]):
    kind = "greet"
    queue = "greet"

    @classmethod
    def label(cls, request: Named) -> str:
        THREADS.add(threading.get_ident())
        if request.name == "broken":
            raise SystemExit
        return request.name

    async def on_execute(self, request: Named, ctx: JobContext[Named]) -> Named:
        return request


NAMES = [
    "Greeting of Ann",
    "",
    "broken",
    "\u202egpj.exe\u0007",
    "=cmd()",
    "<img src=x>",
    "  two\n lines  ",
    "password=hunter2!",
    "x" * 256 * 1024,
]


@pytest.fixture
def manager(shop: Shop) -> QueueManager:
    return QueueManager([Greet], repository=shop.repository, queues=shop.queues, notifier=shop.notifier)


async def test_they_are_as_the_owner_sees_them(manager: QueueManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_BATCH", 4)
    for name in NAMES:
        await manager.queue_job(Greet, Named(name=name), user_id="ann")
    jobs = (await manager.tracker.search(JobQuery())).jobs
    seen = {job.id: job.label for job in await _bell(manager)}
    THREADS.clear()
    assert await manager.tracker.labels(jobs) == seen
    assert threading.get_ident() not in THREADS
    assert len(THREADS) > 0
    assert max(map(len, seen.values())) == 120
    assert {"greet", "Greeting of Ann", "=cmd()", "two lines", "password=***"} <= set(seen.values())


async def _bell(manager: QueueManager) -> list[JobView]:
    return [JobView.of(job, manager.registry) for job in (await manager.tracker.for_user("ann")).jobs]


@pytest.mark.parametrize("request_", [{}, {"name": 5}, {"other": "x"}], ids=str)
async def test_a_request_that_does_not_fit_its_kind(
    manager: QueueManager, shop: Shop, request_: dict[str, Any]
) -> None:
    await manager.queue_job(Greet, Named(name="fits"), user_id="ann")
    async with shop.database.connection() as conn:
        await conn.execute("update queued_jobs.job set request = %s", (str(request_).replace("'", '"'),))
    jobs = (await manager.tracker.search(JobQuery())).jobs
    assert list((await manager.tracker.labels(jobs)).values()) == ["greet"]


async def test_jobs_that_are_gone_or_large_or_of_no_kind(
    manager: QueueManager, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.queue()  # of a kind that this manager does not know
    for name in ("gone", "large", "small"):
        await manager.queue_job(Greet, Named(name=name), user_id="ann")
    jobs = (await manager.tracker.search(JobQuery())).jobs
    async with shop.database.connection() as conn:
        await conn.execute("delete from queued_jobs.job where request->>'name' = 'gone'")
        await conn.execute(
            "update queued_jobs.job set request = jsonb_build_object('name', 'large', 'more',"
            " (select string_agg(md5(n::text), '') from generate_series(1, 200) n))"
            " where request->>'name' = 'large'"
        )
    monkeypatch.setattr(labels, "MAX_REQUEST", 4096)
    found = await manager.tracker.labels(jobs)
    assert [found[job.id] for job in jobs] == ["small", "greet", "greet", "demo"]


async def test_no_job_is_asked_for_without_jobs(manager: QueueManager, shop: Shop) -> None:
    await shop.database.close()
    assert await manager.tracker.labels([]) == {}
