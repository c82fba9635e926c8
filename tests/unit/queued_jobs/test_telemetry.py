"""One trace from the enqueue to the push, and the numbers of each attempt, seen by a real SDK."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from queued_jobs import JobContext, JobStatus, PermanentError
from queued_jobs.message import JobMessage
from queued_jobs.push.signalr import ConnectionString, SignalRNotifier
from queued_jobs.registry import JobRegistry
from queued_jobs.sweeper import Sweeper
from tests.unit.queued_jobs.conftest import Answer, Ask, Demo, World

_spans = InMemorySpanExporter()
_numbers = InMemoryMetricReader()


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    """The process's one SDK: the API takes no other after the first."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([_numbers]))


@pytest.fixture
def spans() -> InMemorySpanExporter:
    _spans.clear()
    return _spans


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def points(name: str) -> list[Any]:
    data = _numbers.get_metrics_data()
    assert data is not None
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


async def test_one_trace_leads_from_the_enqueue_to_the_push(world: World, spans: InMemorySpanExporter) -> None:
    nowhere = ConnectionString(endpoint="http://127.0.0.1:9", access_key="k" * 40)
    notifier = SignalRNotifier(nowhere, JobRegistry([Demo]))
    with trace.get_tracer("test").start_as_current_span("request") as request:
        job = await world.queued()
    runner = world.runner()
    runner.notifier = notifier
    await runner.execute(JobMessage.of(job))
    await notifier.close()
    found = by_name(spans)
    trace_id = request.get_span_context().trace_id
    for name in ("queue demo", "run demo", "push job"):
        assert found[name].context is not None
        assert found[name].context.trace_id == trace_id, name
    run, queued = found["run demo"], found["queue demo"]
    assert run.parent is not None
    assert queued.context is not None
    assert run.parent.span_id == queued.context.span_id
    assert run.attributes is not None
    assert run.attributes["job.id"] == str(job.id)
    assert run.attributes["job.status"] == "succeeded"


async def test_a_failure_shows_its_type_and_no_message(world: World, spans: InMemorySpanExporter) -> None:
    async def body(request: Ask, ctx: JobContext[Answer]) -> Answer:
        raise PermanentError("the customer's name")

    assert (await world.run(body)).status is JobStatus.FAILED
    run = by_name(spans)["run demo"]
    assert run.status.description == "PermanentError"
    assert "customer" not in run.to_json()


async def test_without_a_trace_a_job_runs_in_one_of_its_own(world: World, spans: InMemorySpanExporter) -> None:
    job = await world.run()
    assert job.traceparent is not None
    assert by_name(spans)["run demo"].status.is_ok is not False


async def test_each_attempt_is_counted_and_timed(world: World) -> None:
    await world.run()
    ends = {tuple(point.attributes.items()): point.value for point in points("queued_jobs.attempts")}
    assert ends[("job.kind", "demo"), ("job.status", "succeeded")] >= 1
    for name in ("queued_jobs.wait", "queued_jobs.run"):
        (point, *_) = points(name)
        assert isinstance(point, HistogramDataPoint)
        assert point.count >= 1
        assert point.min >= 0
    assert sum(point.value for point in points("queued_jobs.queued")) >= 1


async def test_log_records_carry_the_job(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "queued_jobs.demo")
    job = await world.run()
    record = next(record for record in caplog.records if "executing" in record.message)
    fields = vars(record)
    assert (fields["job_id"], fields["job_kind"], fields["job_attempt"]) == (str(job.id), "demo", 1)


async def test_the_age_of_a_queue_is_measured_and_falls_back_to_nothing(world: World) -> None:
    job = await world.queued()
    world.change(job, available_at=job.available_at - timedelta(minutes=2))
    sweeper = Sweeper(world.backend)
    await sweeper.run_once()
    (point,) = points("queued_jobs.queue.age")
    assert point.attributes == {"messaging.destination.name": "demo"}
    assert 120 <= point.value < 180
    await world.runner().execute(JobMessage.of(job))
    await sweeper.run_once()
    assert [point.value for point in points("queued_jobs.queue.age")] == [0]
