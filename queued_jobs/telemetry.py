"""Traces and metrics with the OpenTelemetry API: no-ops unless the application sets up an SDK.

One trace spans the enqueue, the attempts and the push; the row carries it (`traceparent`). Names follow the semantic
conventions for messaging.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from queued_jobs.model import QueuedJob

type Trace = Context

_NAME = "queued_jobs"
_tracer = trace.get_tracer(_NAME)
_meter = metrics.get_meter(_NAME)
# always W3C, whatever the application uses elsewhere: the column holds a traceparent
_propagator = TraceContextTextMapPropagator()

_waited = _meter.create_histogram("queued_jobs.wait", "s", "From due to claimed")
_ran = _meter.create_histogram("queued_jobs.run", "s", "From claimed to the end of the attempt")
_ends = _meter.create_counter("queued_jobs.attempts", "{attempt}", "Attempts by outcome")
_age = _meter.create_gauge("queued_jobs.queue.age", "s", "How long the oldest job of a queue has waited")
_behind = _meter.create_gauge("queued_jobs.sweep.behind", "1", "1 for each duty that ran out of time in a sweep")
_hung = _meter.create_gauge(
    "queued_jobs.threads.hung", "{thread}", "Threads whose body is still running after its attempt"
)
_queued = _meter.create_counter("queued_jobs.queued", "{job}", "Jobs that were stored")


@contextmanager
def enqueuing(kind: str, queue: str) -> Iterator[str | None]:
    """Trace an enqueue; yields the traceparent to store, or None without a trace."""
    attributes = {"messaging.destination.name": queue, "job.kind": kind}
    with _tracer.start_as_current_span(f"queue {kind}", kind=trace.SpanKind.PRODUCER, attributes=attributes):
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        yield carrier.get("traceparent")


@contextmanager
def attempting(job: QueuedJob) -> Iterator[None]:
    """Trace an attempt as a part of the trace that queued the job."""
    parent = _propagator.extract({"traceparent": job.traceparent}) if job.traceparent else None
    attributes: dict[str, str | int] = {
        "messaging.destination.name": job.queue,
        "job.id": str(job.id),
        "job.kind": job.kind,
        "job.attempt": job.attempt,
    }
    if job.waited is not None:
        _waited.record(max(job.waited, timedelta()).total_seconds(), {"job.kind": job.kind})
    with _tracer.start_as_current_span(f"run {job.kind}", parent, kind=trace.SpanKind.CONSUMER, attributes=attributes):
        yield


def queued(job: QueuedJob) -> None:
    _queued.add(1, {"job.kind": job.kind})


def queue_age(queue: str, age: timedelta) -> None:
    _age.set(age.total_seconds(), {"messaging.destination.name": queue})


def swept(duties: Sequence[str], behind: Collection[str]) -> None:
    """Record for each duty of the sweeper whether it ran out of time."""
    for duty in duties:
        _behind.set(int(duty in behind), {"duty": duty})


def hung_threads(kind: str, count: int) -> None:
    _hung.set(count, {"job.kind": kind})


def ended(job: QueuedJob, ran_for: timedelta) -> None:
    """Record how an attempt ended, within its trace."""
    attributes = {"job.kind": job.kind, "job.status": job.status.value}
    _ran.record(ran_for.total_seconds(), attributes)
    _ends.add(1, attributes)
    span = trace.get_current_span()
    span.set_attribute("job.status", job.status.value)
    if job.error is not None:
        span.set_attribute("error.type", job.error.type)
        if job.status.is_final:
            span.set_status(trace.StatusCode.ERROR, job.error.type)


def current_trace() -> Trace:
    """Return the caller's trace context, for work that is done later."""
    return context.get_current()


@contextmanager
def continuing(trace: Trace) -> Iterator[None]:
    """Continue an earlier trace."""
    token = context.attach(trace)
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def pushing(target: str) -> Iterator[None]:
    """Trace a push to the hub."""
    with _tracer.start_as_current_span(f"push {target}", kind=trace.SpanKind.CLIENT):
        yield
