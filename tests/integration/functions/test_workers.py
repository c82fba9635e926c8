"""What workers run now, over the API of viewers and admins."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest

from queued_jobs.dashboard import workers
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_admin_api import read
from tests.support.stored_jobs import store
from tools.test_app.jobs.packer import Packer


async def test_who_holds_a_lease_is_listed_with_the_last_heartbeat(site: Site) -> None:
    url = site.settings["DATABASE_URL"]
    mine, late = store(url, 2, status="running", kind="packer")
    (strange,) = store(url, status="running", kind="strange")
    store(url, status="pending")
    with psycopg.connect(url, autocommit=True) as connection:
        lease = (
            "update queued_jobs.job set worker_id = %s, lease_until = now() + %s, started_at = now() - %s where id = %s"
        )
        connection.execute(lease, ("one:1?sig=abcdefgh", timedelta(seconds=30), timedelta(hours=1), mine))
        connection.execute(lease, ("two:2", timedelta(seconds=-5), timedelta(minutes=1), late))
        connection.execute(lease, ("three:3", timedelta(seconds=30), timedelta(minutes=1), strange))
    page = await read(site, "workers")
    assert page["more"] is False
    found = {one["id"]: one for one in page["running"]}
    assert list(found) == [mine, strange, late], "by worker"
    assert [one["isOverdue"] for one in page["running"]] == [False, False, True]
    assert found[strange]["heartbeatAt"] is None
    ends, beat = (datetime.fromisoformat(found[mine][name]) for name in ("leaseUntil", "heartbeatAt"))
    assert ends - beat == Packer.lease
    assert "abcdefgh" not in str(page)


async def test_a_long_list_is_cut(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LISTED", 1)
    store(site.settings["DATABASE_URL"], 2, status="running")
    page = await read(site, "workers")
    assert (len(page["running"]), page["more"]) == (1, True)
