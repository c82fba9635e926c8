"""The alerts look for lines that the library really writes, and for functions that really exist."""

from __future__ import annotations

import json
import logging
import re
from datetime import timedelta

import pytest
from pydantic import BaseModel

import triggers
from infra import workbook
from infra.alerts import LOG_ALERTS, LogAlert
from queued_jobs import JobContext, JobRunner, PermanentError
from queued_jobs.message import JobMessage
from queued_jobs.testing import JobBench
from tests.infra.program import ROOT

QUERIES = {alert.name: alert.query for alert in LOG_ALERTS}
#: What Application Insights calls the lines of each table where it thins them out.
TYPES = {"AppTraces": "Trace", "AppRequests": "Request", "AppExceptions": "Exception"}


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
        await bench.manager.queue_job(Picky, Wish(fails=fails), user_id="ann")
    await bench.drain()
    ended, failed = patterns("failures")
    lines = [line for line in caplog.messages if ended.search(line)]
    assert [line.rpartition(": ")[2].split()[0] for line in lines] == ["succeeded", "failed"]
    assert [bool(failed.search(line)) for line in lines] == [False, True]


async def test_a_job_whose_worker_died_thrice_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = JobBench(Picky)
    handle = await bench.manager.queue_job(Picky, Wish(fails=False), user_id="ann")
    (aborted,) = patterns("aborted")
    for _ in range(3):
        assert not [line for line in caplog.messages if aborted.search(line)]
        message = JobMessage.of(bench.job(handle))
        taken = await bench.repository.claim(
            message, kind="picky", schema_version=1, lease=Picky.lease, timeout=Picky.timeout
        )
        assert taken is not None
        bench.clock.advance(timedelta(minutes=5))
        await bench.manager.sweeper.run_once()
    assert bench.job(handle).status == "aborted"
    assert len([line for line in caplog.messages if aborted.search(line)]) == 1


async def test_a_job_that_waits_too_long_raises_the_alarm(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = JobBench(Picky)
    await bench.manager.queue_job(Picky, Wish(fails=False), user_id="ann")
    (waiting,) = patterns("waiting")
    for minutes in (4, 2):
        assert not [line for line in caplog.messages if waiting.search(line)]
        bench.clock.advance(timedelta(minutes=minutes))
        await bench.manager.sweeper.run_once()
    assert len([line for line in caplog.messages if waiting.search(line)]) == 1


def test_functions_are_called_what_the_queries_call_them() -> None:
    assert f'Name == "{triggers._SWEEP}"' in QUERIES["sweeper"]
    assert 'Name endswith "_poison"' in QUERIES["aborted"]


def types_in(query: str) -> set[str]:
    """Return the types of telemetry that the query looks at."""
    return {TYPES[table] for table in re.findall(r"\bApp[A-Z]\w+", query)}


def never_thinned_out() -> set[str]:
    logs = json.loads((ROOT / "functions" / "host.json").read_text())["logging"]["applicationInsights"]
    return set(logs["samplingSettings"]["excludedTypes"].split(";"))


@pytest.mark.parametrize("alert", LOG_ALERTS, ids=lambda alert: alert.name)
def test_what_an_alert_looks_for_is_never_sampled_away(alert: LogAlert) -> None:
    assert types_in(alert.query)
    assert types_in(alert.query) <= never_thinned_out()


def test_the_workbook_counts_what_sampling_left_out() -> None:
    for title, query, _ in workbook._CHARTS:
        if not types_in(query) <= never_thinned_out():
            assert "sum(ItemCount)" in query, title
            assert "count()" not in query, title
