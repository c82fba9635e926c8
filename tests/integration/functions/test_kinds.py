"""Kinds of shapes that the samples do not have, over HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from enum import Enum
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_validator

from api.app import create_api
from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.postgres import PostgresRepository
from tests.integration.functions.conftest import WEB, Site


class Colour(Enum):
    RED = "red"


class Ask(BaseModel):
    """Strict, and read by a different name than it is written by."""

    model_config = ConfigDict(strict=True, extra="forbid")

    when: datetime
    colour: Colour
    row_count: int = Field(default=0, validation_alias="rows")
    prefix: str = ""

    @field_validator("prefix")
    @classmethod
    def _stays(cls, prefix: str) -> str:
        if prefix.startswith(".."):
            raise ValueError("must not leave")
        return prefix.strip()


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    when: datetime
    row_count: int = Field(serialization_alias="rows")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.row_count


class Shaped(JobRunner[Ask, Answer]):
    kind = queue = "packer"

    @classmethod
    def label(cls, request: Ask) -> str:
        return f"{request.row_count} {request.colour.value}"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer(when=request.when, row_count=request.row_count)


@pytest.fixture
async def shaped(site: Site) -> AsyncIterator[Site]:
    parts = site.services
    manager = QueueManager(
        [Shaped], repository=PostgresRepository(parts.database), queues=parts.queues, notifier=parts.notifier
    )
    services = dataclasses.replace(parts, manager=manager)
    transport = httpx.ASGITransport(app=create_api(services, web=WEB))
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as http:
        yield dataclasses.replace(site, services=services, http=http)


async def start(site: Site, **body: Any) -> httpx.Response:
    return await site.call("ann", "POST", "/api/jobs/packer", json=body)


async def test_a_strict_request_is_read_as_json(shaped: Site) -> None:
    answer = await start(shaped, when="2026-01-31T12:00:00Z", colour="red", rows=5)
    assert answer.status_code == 202, answer.text
    assert answer.json()["label"] == "5 red"
    assert await shaped.deliver() == 1
    job = await shaped.job("ann", answer.json()["id"])
    assert (job["status"], job["label"]) == ("succeeded", "5 red")
    assert job["result"] == {"when": "2026-01-31T12:00:00Z", "rows": 5, "twice": 10}


@pytest.mark.parametrize(
    ("change", "field"),
    [({"colour": "blue"}, "colour"), ({"rows": "5"}, "rows"), ({"more": 1}, "more"), ({"when": 5}, "when")],
)
async def test_what_is_wrong_is_named(shaped: Site, change: dict[str, Any], field: str) -> None:
    answer = await start(shaped, **({"when": "2026-01-31T12:00:00Z", "colour": "red"} | change))
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])


async def test_what_would_not_be_read_back_is_refused(shaped: Site) -> None:
    answer = await start(shaped, when="2026-01-31T12:00:00Z", colour="red", prefix=" ../x")
    assert answer.status_code == 422
    assert "the field prefix" in answer.json()["detail"]
    assert (await shaped.call("ann", "GET", "/api/jobs/mine")).json()["items"] == []
