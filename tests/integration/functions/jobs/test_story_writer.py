"""The sample job that shows its text while it is written, over the API and the hub."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

import pytest

import jobs
from jobs.story_writer import STORY, StoryWriter
from tests.integration.functions.conftest import Site


@pytest.fixture
def kinds() -> ModuleType:
    return jobs


async def test_a_story_is_written_and_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoryWriter, "pause", timedelta(milliseconds=2))
    answer = await site.call("ann", "POST", "/api/jobs/story-writer", json={"subject": "the rain", "sentences": 5})
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    await site.deliver("story-writer")
    job = await site.job("ann", job_id)
    assert (job["status"], job["label"]) == ("succeeded", "Story about the rain")
    stream = (await site.call("ann", "GET", f"/api/jobs/{job_id}/stream?topic={STORY}&limit=1000")).json()
    assert "".join(chunk["text"] for chunk in stream["chunks"]).strip() == job["result"]["text"]
    assert (await site.call("bob", "GET", f"/api/jobs/{job_id}/stream")).status_code == 404


@pytest.mark.parametrize(
    "body", [{"subject": ""}, {"subject": "x" * 81}, {"sentences": 0}, {"sentences": 201}, {"x": 1}]
)
async def test_a_request_without_sense_is_refused(site: Site, body: dict[str, object]) -> None:
    assert (await site.call("ann", "POST", "/api/jobs/story-writer", json=body)).status_code == 422
