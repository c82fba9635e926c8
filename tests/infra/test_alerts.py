"""The alerts look for lines that the library really writes, and for functions that really exist."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
from pydantic import BaseModel

import triggers
from infra.alerts import LOG_ALERTS
from queued_jobs import JobContext, JobMessage, JobRunner, PermanentError
from queued_jobs.sweeper import Sweeper
from queued_jobs.testing import JobBench

QUERIES = {alert.name: alert.query for alert in LOG_ALERTS}


class Wish(BaseModel):
    fails: bool


class Picky(JobRunner[Wish, None]):
    kind = "picky"
    queue = "picky"

    async def on_execute(self, request: Wish, ctx: JobContext[None]) -> None:
        if request.fails:
            raise PermanentError("no")


def patterns(name: str) -> list[re.Pattern[str]]:
    return [re.compile(text) for text in re.findall(r'matches regex @"([^"]+)"', QUERIES[name])]


async def test_an_ended_job_is_seen_with_its_outcome(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = JobBench(Picky)
    for fails in (False, True):
        await bench.queue(Picky, Wish(fails=fails), user_id="ann")
    await bench.drain()
    ended, failed = patterns("failures")
    lines = [line for line in caplog.messages if ended.search(line)]
    assert [line.rpartition(": ")[2] for line in lines] == ["succeeded", "failed"]
    assert [bool(failed.search(line)) for line in lines] == [False, True]


async def test_a_job_whose_worker_died_thrice_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = JobBench(Picky)
    handle = await bench.queue(Picky, Wish(fails=False), user_id="ann")
    (aborted,) = patterns("aborted")
    for _ in range(3):
        assert not [line for line in caplog.messages if aborted.search(line)]
        message = JobMessage.of(bench.job(handle))
        taken = await bench.repository.claim(
            message, kind="picky", schema_version=1, lease=Picky.lease, timeout=Picky.timeout
        )
        assert taken is not None
        bench.clock.advance(timedelta(minutes=5))
        await Sweeper(bench.repository, bench.queues, bench.notifier).run_once()
    assert bench.job(handle).status == "aborted"
    assert len([line for line in caplog.messages if aborted.search(line)]) == 1


async def test_a_job_that_waits_too_long_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = JobBench(Picky)
    await bench.queue(Picky, Wish(fails=False), user_id="ann")
    (waiting,) = patterns("waiting")
    for minutes in (4, 2):
        assert not [line for line in caplog.messages if waiting.search(line)]
        bench.clock.advance(timedelta(minutes=minutes))
        await Sweeper(bench.repository, bench.queues, bench.notifier).run_once()
    assert len([line for line in caplog.messages if waiting.search(line)]) == 1


def test_functions_are_called_what_the_queries_call_them() -> None:
    assert f'Name == "{triggers._SWEEP}"' in QUERIES["sweeper"]
    assert 'Name endswith "_poison"' in QUERIES["aborted"]
