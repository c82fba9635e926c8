"""The subjects of `scripts/bench` do the same work, and their numbers become tables."""

from __future__ import annotations

import pytest

from tools.bench.child import SUBJECTS
from tools.bench.counts import Counts, count
from tools.bench.report import to_markdown
from tools.bench.rounds import Sample
from tools.bench.sink import Sink
from tools.bench.subject import USERS, Settings

JOBS = 2 * USERS


@pytest.mark.parametrize("name", list(SUBJECTS))
async def test_a_subject_runs_all_jobs(jobs_url: str, name: str) -> None:
    async with Sink() as sink:
        subject = SUBJECTS[name](Settings(database=jobs_url, hub=sink.connection_string))
        await subject.open()
        for _ in range(2):
            await subject.prepare(JOBS)
            measured = await subject.measure(in_flight=8)
            assert measured["per_second"] > 0
            assert measured["cpu_us"] > 0
        await subject.close()
    assert (sink.posts == 0) is (name == "library-quiet")
    assert sink.posts <= 2 * 2 * JOBS


async def test_the_library_is_counted(jobs_url: str) -> None:
    counted = await count(jobs_url, 1, jobs=JOBS)
    assert 2 <= counted.statements <= 2.1, "a claim and an end, and perhaps a question to an idle connection"
    assert 0 < counted.posts <= 2


def test_each_round_is_compared_with_the_same_round_of_the_floor() -> None:
    samples = [
        Sample(subject, 16, per_second, 500)
        for subject, rounds in {"naked": (100, 200, 400), "library": (50, 300, 200)}.items()
        for per_second in rounds
    ]
    text = to_markdown(samples, [Counts(16, 0.25, 2.25, 1.5)], jobs=3_000)
    assert "| library | 16 | 200 (50 to 300) | 0.50 (0.50 to 1.50) |" in text
    assert "| 16 | 0.25 | 2.25 | 1.50 |" in text
