"""Kinds with a schedule, over the API of admins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest
from pydantic import BaseModel

from tests.integration.functions.conftest import Site
from tests.integration.functions.test_admin_api import ids, read
from tests.integration.functions.test_jobs_api import assert_problem
from tools.test_app.jobs.importer import Importer
from tools.test_app.jobs.packer import Packer


async def test_a_schedule_is_shown_and_run_once_for_each_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packer, "schedule", "0 0 3 * * *")
    monkeypatch.setattr(Packer, "scheduled_request", lambda due: Packer.request_type(prefix="nightly/"))
    monkeypatch.setattr(Importer, "schedule", None)
    (shown,) = (await read(site, "schedules"))["schedules"]
    assert (shown["kind"], shown["expression"], shown["lastAt"]) == ("packer", "0 0 3 * * *", None)
    assert datetime.fromisoformat(shown["nextAt"]).hour == 3
    run = partial(site.call, "admin", "POST", "/api/admin/kinds/packer/run")
    answers = await asyncio.gather(*(run(headers={"Idempotency-Key": "click 1"}) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [202] * 3, answers[0].text
    assert sorted(answer.json()["duplicate"] for answer in answers) == [False, True, True]
    assert (await run(headers={"Idempotency-Key": "click 2"})).json()["duplicate"] is False
    assert len(await ids(site)) == 2
    for headers in ({}, {"Idempotency-Key": "x" * 191}):
        assert_problem(await run(headers=headers), 422)
    unknown = "/api/admin/kinds/importer/run"
    assert_problem(await site.call("admin", "POST", unknown, headers={"Idempotency-Key": "a"}), 404)
    recorded = [one["changed"] for one in (await read(site, "audit"))["items"] if one["action"] == "run-now"]
    assert Counter(recorded) == {0: 2, 1: 2, None: 1}, "what was refused, too"
    await site.services.queues["packer"].clear_messages()


async def test_the_schema_of_a_request_is_what_starting_takes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/api/admin/kinds/packer/request-schema"
    document = (await site.call("admin", "GET", path)).json()
    assert document == {"kind": "packer", "jsonSchema": Packer.request_type.model_json_schema()}
    assert_problem(await site.call("admin", "GET", path.replace("packer", "nothing")), 404)

    class Handle(BaseModel):
        call: Callable[[], None] | None = None

    monkeypatch.setattr(Packer, "request_type", Handle)
    assert (await site.call("admin", "GET", path)).json() == {"kind": "packer", "jsonSchema": None}
