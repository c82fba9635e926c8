"""Request and response bodies of the admin's routes about jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationInfo
from pydantic.alias_generators import to_camel

from api.admin.filters import JobFilters
from api.http.masking import PayloadView
from api.models import Body, Moment
from queued_jobs.dashboard.bulk import BulkReport
from queued_jobs.dashboard.search import JobSummary
from queued_jobs.model import Attempt, JobKey, JobStatus, QueuedJob
from queued_jobs.push.view import ErrorView, MaskedText, Public, fields_of
from queued_jobs.redact import mask_secrets
from queued_jobs.registry import JobRegistry

Act = Literal["retry", "cancel"]

_MILLISECOND = timedelta(milliseconds=1)


def _for_admins(trace: str | None, info: ValidationInfo) -> str | None:
    return mask_secrets(trace) if trace is not None and (info.context or {}).get("can_act") else None


class OptionsView(Public):
    """The caller's permissions, and the values to filter by."""

    can_act: bool
    kinds: tuple[str, ...]
    queues: tuple[str, ...]
    #: Rows of a CSV file.
    most_rows: int


class AdminJobView(Public):
    """A job in the admin's list, without its request and result."""

    id: JobKey
    kind: str
    #: As its owner sees it, with secrets masked.
    label: MaskedText
    queue: str
    user_id: str
    #: The owner's name when the job was started; null if unknown.
    user_name: str | None
    status: JobStatus
    version: int
    attempt: int
    max_attempts: int
    #: Whether it waits because its kind is paused.
    paused: bool
    cancel_requested: bool
    progress: float | None
    progress_message: MaskedText | None
    created_at: datetime
    available_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    #: Of the last attempt: from its due time to its start, and from its start to its end.
    wait_ms: int | None
    duration_ms: int | None
    error: ErrorView | None
    #: Actions available to the caller now.
    actions: tuple[Act, ...]

    @classmethod
    def of(cls, job: JobSummary, label: str, *, can_act: bool) -> Self:
        return cls.model_validate(_shown(job, label, can_act))


def admin_views(jobs: Sequence[JobSummary], labels: Mapping[JobKey, str], *, can_act: bool) -> tuple[AdminJobView, ...]:
    """Return the views of a page: slow for the texts of hundreds of jobs."""
    return tuple(AdminJobView.of(job, labels[job.id], can_act=can_act) for job in jobs)


class AdminPage(Public):
    items: tuple[AdminJobView, ...]
    #: Pass it as `before` for the next page. With a filter without an index, even a short page may have it.
    next_before: str | None


class TracedErrorView(ErrorView):
    #: For admins; null for viewers.
    traceback: Annotated[str | None, AfterValidator(_for_admins)]


class TracedAttemptView(Public):
    attempt: int
    worker_id: MaskedText
    due_at: datetime
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: TracedErrorView | None


class AdminJobDetailView(AdminJobView):
    """All data of a job, with secrets masked."""

    error: TracedErrorView | None
    request: PayloadView
    result: PayloadView | None
    attempts: tuple[TracedAttemptView, ...]
    schema_version: int
    parent_id: JobKey | None
    unique_key: MaskedText | None
    traceparent: MaskedText | None
    worker_id: MaskedText | None
    #: How often its worker was lost.
    lost_count: int
    #: Generation of its current wake-up, and the last one that was sent.
    dispatch_gen: int
    sent_gen: int
    seen_at: datetime | None
    cleared_at: datetime | None

    @classmethod
    def of_job(cls, job: QueuedJob, attempts: list[Attempt], registry: JobRegistry, *, can_act: bool) -> Self:
        own = {
            "request": PayloadView.of(job.request),
            "result": None if job.result is None else PayloadView.of(job.result),
            "attempts": attempts,
        }
        return cls.model_validate(_shown(job, registry.label(job), can_act) | own, context={"can_act": can_act})


class CountView(Public):
    number: int
    #: False if there are, or with some filters may be, more.
    exact: bool
    #: Pass it to a bulk action to exclude newer jobs.
    as_of: datetime


class StatusCountView(Public):
    number: int
    #: False if there are, or with some filters may be, more.
    exact: bool


class StatusCountsView(Public):
    #: By status.
    counts: Mapping[JobStatus, StatusCountView]


class CountFilters(JobFilters):
    #: Count the jobs that this bulk action would change.
    action: Act | None = None


class BulkBody(Body):
    model_config = ConfigDict(alias_generator=to_camel)

    action: Act
    filters: JobFilters
    #: `asOf` of the count that the admin has confirmed.
    as_of: Moment
    #: `next` of the previous response.
    before: Annotated[str | None, StringConstraints(max_length=80)] = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 500


class RefusalView(Public):
    id: JobKey
    reason: str


class BulkView(Public):
    changed: int
    #: How many were skipped, by reason.
    refused: Mapping[str, int]
    #: Some of these.
    refusals: tuple[RefusalView, ...]
    #: If it is not null, call again with it as `before` for the rest.
    next: str | None

    @classmethod
    def of(cls, report: BulkReport, following: str | None) -> Self:
        return cls.model_validate(fields_of(report) | {"next": following})


def _shown(job: JobSummary | QueuedJob, label: str, can_act: bool) -> dict[str, Any]:
    # while the job waits, these belong to two different attempts
    started = None if job.status in (JobStatus.PENDING, JobStatus.RETRYING) else job.started_at
    return fields_of(job) | {
        "label": label,
        "paused": job.is_paused,
        "wait_ms": _between(job.available_at, started),
        "duration_ms": _between(started, job.finished_at),
        "actions": _actions(job) if can_act else (),
    }


def _between(start: datetime | None, end: datetime | None) -> int | None:
    """Return the milliseconds; None if unknown: the times are of different attempts, or a clock was set back."""
    return None if start is None or end is None or end < start else round((end - start) / _MILLISECOND)


def _actions(job: JobSummary | QueuedJob) -> tuple[Act, ...]:
    if job.status.is_final:
        return () if job.status is JobStatus.SUCCEEDED else ("retry",)
    return () if job.cancel_requested else ("cancel",)
