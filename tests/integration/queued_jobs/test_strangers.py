"""What somebody else can do to a job that has ended: nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from queued_jobs.errors import JobNotFound
from tests.integration.queued_jobs.conftest import Shop


async def test_a_stranger_clears_sees_and_brings_back_nothing(shop: Shop) -> None:
    job = await shop.succeeded("ann")
    tracker = shop.tracker
    with pytest.raises(JobNotFound):
        await tracker.clear("bob", job.id)
    assert (await tracker.clear_finished("bob"))[0] == []
    assert await tracker.mark_seen("bob", [job.id]) == []
    assert await tracker.get(job.id, user_id="ann") == job
    await tracker.clear("ann", job.id)
    cleared = await tracker.get(job.id, user_id="ann")
    assert cleared.cleared_at is not None
    since = cleared.cleared_at - timedelta(minutes=1)
    assert await tracker.undo_clear("bob", [job.id], since=since) == []
    assert await tracker.get(job.id, user_id="ann") == cleared
    assert (await tracker.for_user("bob")).jobs == ()
