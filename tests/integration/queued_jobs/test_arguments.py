"""Each argument of each public method, with values of other types: refused by name, before any statement."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints
from uuid import UUID

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from queued_jobs.audit import AuditLog
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.erasure import Erasure
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import JobKey, JobStatus
from queued_jobs.pauses import Pauses
from queued_jobs.quotas import Limits, Quotas
from queued_jobs.tracker import JobTracker
from tests.integration.queued_jobs.conftest import Shop

KEY = UUID(int=1)
_STRICT = ConfigDict(arbitrary_types_allowed=True, strict=True)
#: Values for required arguments.
FITTING: dict[str, Any] = {
    "job_id": KEY,
    "user_id": "ann",
    "query": JobQuery(),
    "jobs": (),
    "ids": [KEY],
    "since": datetime(2026, 1, 1, tzinfo=UTC),
    "window": timedelta(hours=1),
    "bucket": timedelta(minutes=1),
    "kind": "demo",
    "subject": "eve",
    "key": "k",
    "most": 3,
    "within": timedelta(minutes=1),
}
ODD: list[Any] = [
    None,
    True,
    "x",
    str(KEY),
    b"abc",
    1,
    -1,
    2**63,
    10**5_000,
    1.5,
    float("nan"),
    (1, 2),
    ["x"],
    {"a": 1},
    {"x"},
    object(),
    JobQuery,
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1),
    timedelta(days=1),
    KEY,
]
#: Any object has a truth value, and `async with` checks its object itself.
NOT_CHECKED = ("traces", "from_start", "transaction")
OWNERS: dict[type[Any], Any] = {
    JobTracker: lambda shop: shop.tracker,
    Pauses: lambda shop: shop.manager.pauses,
    Erasure: lambda shop: shop.manager.erasure,
    AuditLog: lambda shop: AuditLog(shop.database),
    Quotas: lambda shop: Quotas(shop.database, Limits(active=9, per_day=9, writes_per_minute=9, waiting=9)),
}


def cases() -> Iterator[Any]:
    for owner in OWNERS:
        for name, method in inspect.getmembers(owner, inspect.iscoroutinefunction):
            if not name.startswith("_"):
                for parameter in sorted(inspect.signature(method).parameters.keys() - {"self", *NOT_CHECKED}):
                    yield pytest.param(owner, name, parameter, id=f"{owner.__name__}.{name}-{parameter}")


def fits(annotation: Any, value: object) -> bool:
    if annotation is JobKey:
        return isinstance(value, UUID)
    if isinstance(annotation, type) and is_dataclass(annotation):
        return isinstance(value, annotation)
    try:
        TypeAdapter(annotation, config=_STRICT).validate_python(value)
    except ValidationError:
        return False
    return not (isinstance(value, datetime) and value.tzinfo is None)


@pytest.mark.parametrize(("owner", "name", "parameter"), list(cases()))
async def test_values_of_other_types(owner: type[Any], name: str, parameter: str, shop: Shop) -> None:
    others = await shop.queue("ben")
    method = getattr(OWNERS[owner](shop), name)
    required = [one.name for one in inspect.signature(method).parameters.values() if one.default is one.empty]
    annotation = get_type_hints(getattr(owner, name))[parameter]
    for value in ODD:
        if fits(annotation, value):
            continue
        arguments = {one: FITTING[one] for one in required} | {parameter: value}
        try:
            await method(**arguments)
        except (TypeError, ValueError, InvalidRequest) as exc:
            assert parameter in str(exc) or "created_before" in str(exc), (value, exc)  # noqa: PT017 (any of the three)
        else:
            pytest.fail(f"{value!r} was accepted")
    job = await shop.tracker.get(others.id, user_id="ben")
    assert job.status is JobStatus.PENDING, "of another user"
