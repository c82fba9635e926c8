"""Rows with values of a later version, whose hosts run beside those of this one during a deployment."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from queued_jobs import JobStatus, JobView, QueuedJob
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.errors import JobConflict
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Shop

LATER = "suspended"


@pytest.fixture
async def later(shop: Shop) -> QueuedJob:
    """A job in a state that this version does not have, beside ordinary ones."""
    await shop.succeeded()
    job = (await shop.queue()).job
    async with shop.database.connection() as conn:
        await conn.execute("alter table queued_jobs.job drop constraint job_status_check")
        await conn.execute("update queued_jobs.job set status = %s where id = %s", (LATER, job.id))
    await shop.queue()
    return job


async def test_the_jobs_beside_it_are_shown(shop: Shop, later: QueuedJob) -> None:
    tracker = shop.tracker
    bell = await tracker.for_user("ann")
    assert [job.status for job in bell.jobs] == ["pending", LATER, "succeeded"]
    page = await tracker.search(JobQuery())
    assert [job.status for job in page.jobs] == ["pending", LATER, "succeeded"]
    assert len(await tracker.labels(page.jobs)) == 3
    view = JobView.of(await tracker.get(later.id, user_id="ann"), shop.manager.registry)
    assert json.loads(view.model_dump_json())["status"] == LATER
    assert view.actions == ()
    assert sum(count.number for count in (await tracker.count_statuses(JobQuery())).values()) == 2


async def test_this_version_leaves_it_as_it_is(shop: Shop, later: QueuedJob) -> None:
    before = await shop.tracker.get(later.id, user_id=ANY_USER)
    assert not before.status.is_final
    await shop.manager.sweeper.run_once()
    await shop.tracker.cancel_all(JobQuery())
    await shop.tracker.cancel(later.id, user_id="ann")
    with pytest.raises(JobConflict):
        await shop.tracker.retry(later.id, user_id="ann")
    with pytest.raises(JobConflict):
        await shop.tracker.clear("ann", later.id)
    assert await shop.tracker.get(later.id, user_id=ANY_USER) == before


async def test_its_result_is_awaited(shop: Shop) -> None:
    handle = await shop.queue()
    async with shop.database.connection() as conn:
        await conn.execute("alter table queued_jobs.job drop constraint job_status_check")
        await conn.execute("update queued_jobs.job set status = %s", (LATER,))
    with pytest.raises(TimeoutError):
        await handle.result(timeout=timedelta())


def test_clients_cannot_send_it() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(JobStatus).validate_python(LATER)
