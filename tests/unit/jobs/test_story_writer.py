"""The sample job that shows its text while it is written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.story_writer import STORY, StoryRequest, StoryResult, StoryWriter, write_story
from queued_jobs import JobHandle, JobStatus
from queued_jobs.testing import JobBench

REQUEST = StoryRequest(subject="a bell", sentences=6)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoryWriter, "pause", timedelta())


async def written(bench: JobBench) -> tuple[JobHandle[StoryResult], StoryResult]:
    handle = await bench.manager.queue_job(StoryWriter, REQUEST, user_id="ann")
    await bench.drain()
    job = bench.job(handle)
    assert job.status is JobStatus.SUCCEEDED
    return handle, StoryWriter.read_result(job)


def test_a_request_has_one_story() -> None:
    story = write_story(REQUEST)
    assert story == write_story(REQUEST)
    assert story != write_story(StoryRequest(subject="a bell", sentences=7))[:6]
    assert len(story) == 6
    assert "a bell" in story[0]
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in story)


@pytest.mark.parametrize("subject", ["{hero}", "{0}", "{", "%s", "\\1", "\u202ex", "ä b"])
def test_a_subject_is_only_text(subject: str) -> None:
    story = write_story(StoryRequest(subject=subject, sentences=50))
    assert sum(subject in sentence for sentence in story) > 2


async def test_the_words_are_pushed_and_are_the_result() -> None:
    bench = JobBench(StoryWriter)
    handle, result = await written(bench)
    assert "".join(bench.output(handle, STORY)).strip() == result.text == " ".join(write_story(REQUEST))
    assert result.words == len(result.text.split()) == len(bench.output(handle, STORY))
    pushed = [chunk.text for _, segment in bench.notifier.output for chunk in segment.chunks if chunk.topic == STORY]
    assert pushed == bench.output(handle, STORY)
    assert len(bench.output(handle, "log")) == 2


async def test_an_interrupted_story_goes_on_where_it_was() -> None:
    bench = JobBench(StoryWriter)
    bench.interrupt_after(saves=3)
    handle, result = await written(bench)
    assert bench.job(handle).attempt == 2
    assert "".join(bench.output(handle, STORY)).strip() == result.text
    assert "resuming after 3 sentences" in bench.output(handle, "log")
