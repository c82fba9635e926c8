"""No route and no change of a job works on a long text in the thread of the event loop, whatever it does with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from fastapi.responses import JSONResponse

from queued_jobs import redact
from queued_jobs.announcements import flush_pushes
from queued_jobs.serialization import StoredForm
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_access import routes
from tests.support import wordy
from tests.support.growth import repeated
from tests.support.wordy.wordy import WRONG, Text, Wordy

#: Characters that are masked, or read as JSON, in less than 5 ms: 256 KiB are masked in 100 ms.
SMALL, SMALL_JSON = 8 * 1024, 64 * 1024
#: Of requests, results and errors, and of requests over HTTP.
LONG, LONG_BODY = 100 * 1024, 60 * 1024
UNIT = "password=a@ "


class Watch:
    """Notes who works on more than a few characters in the thread that created it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._thread = threading.get_ident()
        self.on_the_loop: set[str] = set()
        self.elsewhere: set[str] = set()
        self._patch = monkeypatch

    def watch(self, owner: Any, name: str, size_of: Callable[..., int], small: int = SMALL) -> None:
        """Replace a function; `size_of` is given its arguments and its result."""
        watched = getattr(owner, name)

        def noting(*args: Any, **kwargs: Any) -> Any:
            result = watched(*args, **kwargs)
            if size_of(args, result) > small:
                on_the_loop = threading.get_ident() == self._thread
                (self.on_the_loop if on_the_loop else self.elsewhere).add(name)
            return result

        self._patch.setattr(owner, name, noting)

    def taken(self) -> set[str]:
        """What has worked on long texts on the loop since the last call."""
        found, self.on_the_loop = self.on_the_loop, set()
        return found


@pytest.fixture
def kinds() -> ModuleType:
    return wordy


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch(monkeypatch)
    dumps = json.dumps

    def text_of(value: Any) -> int:
        return len(dumps(value, default=str))

    watch.watch(redact, "_hidden", lambda args, _: len(args[1]))
    watch.watch(StoredForm, "dump", lambda _, data: text_of(data))
    watch.watch(StoredForm, "digest", lambda args, _: len(args[1].text))
    watch.watch(StoredForm, "load", lambda args, _: text_of(args[1]))
    watch.watch(JSONResponse, "render", lambda _, content: len(content))
    watch.watch(json, "dumps", lambda _, text: len(text), SMALL_JSON)
    watch.watch(json, "loads", lambda args, _: len(args[0]), SMALL_JSON)
    watch.watch(Wordy, "label", lambda args, _: len(args[0].text))
    watch.watch(Wordy, "file", lambda args, _: len(args[0].text))
    yield watch
    assert watch.elsewhere >= {"_hidden", "dump", "digest", "load", "render", "dumps", "loads", "label", "file"}


async def test_every_route_and_every_change(site: Site, watch: Watch) -> None:
    found = await changes(site, watch)
    found |= await answers(site, watch)
    found |= await endings(site, watch)
    assert found == {}


async def changes(site: Site, watch: Watch) -> dict[str, set[str]]:
    """Start and run jobs, and push each of their changes to the hub."""
    found = {}
    ann = await site.user_id("ann")
    for beginning in ("", WRONG, ""):
        request = Text(text=beginning + repeated(UNIT, LONG))
        await site.services.manager.queue_job(Wordy, request, user_id=ann, user_name="Ann")
        found["start"] = watch.taken()
        await site.deliver("wordy")
        await flush_pushes()
        found[f"run {beginning}"] = watch.taken()
    return {name: by for name, by in found.items() if by}


async def answers(site: Site, watch: Watch) -> dict[str, set[str]]:
    """Call every route, as an admin and as an owner, with each of the jobs."""
    ids = [one["id"] for one in (await site.call("ann", "GET", "/api/jobs/mine")).json()["items"]]
    now = "2100-01-01T00:00:00Z"
    bodies: dict[str, Any] = {
        "/api/session": {"invite": site.settings["INVITE_SECRET"]},
        "/api/uploads": {"files": [{"name": "a", "size": 1}]},
        "/api/jobs/wordy": {"text": repeated(UNIT, LONG_BODY)},
        "/api/jobs/seen": {"ids": ids},
        "/api/jobs/undo-clear": {"since": "2000-01-01T00:00:00Z"},
        "/api/admin/jobs/bulk": {"action": "retry", "filters": {"text": "no such text"}, "asOf": now},
        "/api/admin/erase": {"userId": await site.user_id("ann"), "dryRun": True},
    }
    queries = ["", "?text=no+such+text", "?status=failed", "?limit=100"]
    found: dict[str, set[str]] = {}
    unused = []
    known = await routes(site)
    watch.taken()  # this test has read JSON, too
    # what changes jobs comes last
    for method, path in sorted(known, key=lambda route: ("GET", "POST", "DELETE").index(route[0])):
        statuses = set()
        for job_id in ids if "{job_id}" in path else ids[:1]:
            for part in ("request", "result") if "{part}" in path else ("",):
                for query in queries if path.startswith("/api/admin/jobs") and "{" not in path else queries[:1]:
                    where = path.format(job_id=job_id, part=part, kind="wordy", queue="wordy") + query
                    for who in ("admin", "ann"):
                        options = {"json": bodies[path]} if path in bodies else {}
                        answer = await site.call(
                            who, method, where, headers={"Idempotency-Key": str(uuid4())}, **options
                        )
                        statuses.add(answer.status_code)
                        if by := watch.taken():
                            found[f"{who} {method} {path}{query}"] = by
        if statuses <= {404, 405, 415, 422}:
            unused.append((method, path, statuses))
    assert unused == [], "these were called with what they refuse; add a body for them"
    await flush_pushes()
    if by := watch.taken():
        found["pushes"] = by
    return found


async def endings(site: Site, watch: Watch) -> dict[str, set[str]]:
    """Run what the routes have started, let results expire, and erase the owner."""
    found = {}
    manager = site.services.manager
    await site.deliver("wordy")
    async with site.services.database.connection() as conn:
        await conn.execute("update queued_jobs.job set finished_at = finished_at - interval '2 hours'")
    found["expiry"] = {str(n) for n in [(await manager.sweeper.run_once()).expired] if n == 0} | watch.taken()
    await manager.erasure.erase(await site.user_id("ann"))
    await flush_pushes()
    found["erasure"] = watch.taken()
    return {name: by for name, by in found.items() if by}
