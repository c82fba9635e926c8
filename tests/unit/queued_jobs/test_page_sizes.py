"""A number of rows that no page can have is refused where it is passed, before any statement."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from queued_jobs.audit import AuditLog
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.registry import JobRegistry
from queued_jobs.sweeper import Sweeper
from queued_jobs.tracker import JobTracker
from tests.unit.queued_jobs.conftest import World

_NOTHING: Any = SimpleNamespace(notifier=None)  # any use of a database or a queue raises AttributeError
_REQUIRED = {"job_id": UUID(int=1), "user_id": "ann", "query": JobQuery()}


def limited(owner: object) -> list[Any]:
    """Return the public methods that have a `limit`, also those to come."""
    methods = [getattr(owner, name) for name in dir(owner) if not name.startswith("_")]
    return [method for method in methods if callable(method) and "limit" in inspect.signature(method).parameters]


METHODS = [*limited(JobTracker(_NOTHING, _NOTHING, JobRegistry(()))), *limited(AuditLog(_NOTHING))]
REFUSED = [(-1, ValueError), (0, ValueError), (2**63, ValueError), (-(2**63), ValueError)] + [
    (value, TypeError) for value in (True, None, "5", 1.5, float("nan"))
]


def test_methods_are_found() -> None:
    assert {method.__name__ for method in METHODS} >= {"for_user", "search", "stream", "retry_all", "entries"}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
@pytest.mark.parametrize(("limit", "error"), REFUSED, ids=repr)
async def test_no_page(method: Any, limit: object, error: type[Exception]) -> None:
    arguments = {name: value for name, value in _REQUIRED.items() if name in inspect.signature(method).parameters}
    with pytest.raises(error, match="limit"):
        await method(**arguments, limit=limit)


@pytest.mark.parametrize(("limit", "error"), REFUSED, ids=repr)
def test_no_sweep(world: World, limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="limit"):
        Sweeper(world.backend, limit=limit)
