"""What a runner class must say, and what it reads from its type arguments."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import BaseModel, RootModel

from queued_jobs import JobContext, JobRunner
from tests.unit.queued_jobs.conftest import Demo


class Ask(BaseModel):
    pass


class Answer(BaseModel):
    pass


def declared(kind: str = "demo", queue: object = "demo") -> type[JobRunner[Ask, Answer]]:
    class Declared(JobRunner[Ask, Answer]):
        async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
            return Answer()

    return type("Declared", (Declared,), {"kind": kind, "queue": queue})


def test_the_types_are_read_once() -> None:
    runner = declared()
    assert (runner.request_type, runner.result_type) == (Ask, Answer)


def test_a_job_may_have_no_result() -> None:
    class Silent(JobRunner[Ask, None]):
        kind = "silent"
        queue = "silent"

        async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
            return None

    assert Silent.result_type is None


@pytest.mark.parametrize("kind", ["", "Zip", "1st", "-a", "a_b", "a" * 64, "__proto__", "a/b"])
def test_a_kind_that_is_no_wire_name_is_refused(kind: str) -> None:
    with pytest.raises(TypeError, match="kind"):
        declared(kind=kind)


@pytest.mark.parametrize("queue", [None, "", "ab", "Zip", "a--b", "-ab", "ab-", "a" * 57, "demo-poison", "a_b"])
def test_a_queue_that_storage_or_the_host_refuses_is_refused(queue: object) -> None:
    with pytest.raises(TypeError, match="queue"):
        declared(queue=queue)


def test_types_that_are_not_named_are_refused() -> None:
    with pytest.raises(TypeError, match="name the request and result types"):
        type("Untyped", (JobRunner,), {"kind": "demo", "queue": "demo"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": 5}, "kind is 5"),
        ({"timeout": 5}, "timeout is 5, but must be a timedelta"),
        ({"schedule": 5}, "schedule is 5, but must be None"),
        ({"schedule": "every day"}, "its schedule .*'every day' has 2 fields"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(TypeError, match=f"^Wrong: {says}"):
        type("Wrong", (Demo,), {"kind": "wrong", **wrong})


class Lines(RootModel[list[str]]):
    pass


def test_a_result_that_is_no_object_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Wrong: Lines "):

        class Wrong(JobRunner[Ask, Lines]):
            kind = queue = "wrong"

            async def on_execute(self, request: Ask, ctx: JobContext[Lines]) -> Lines:
                return Lines([])


def test_a_request_that_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Wrong: the request type .* int"):

        class Wrong(JobRunner[int, None]):  # type: ignore[type-var]
            kind = queue = "wrong"

            async def on_execute(self, request: int, ctx: JobContext[None]) -> None: ...


@pytest.mark.parametrize("limit", ["timeout", "lease"])
@pytest.mark.parametrize("span", [timedelta(), timedelta(seconds=-1), timedelta(days=366), timedelta.max], ids=str)
def test_a_limit_that_no_claim_could_store_is_refused(limit: str, span: timedelta) -> None:
    with pytest.raises(TypeError, match=f"{limit} is .*, but must be a timedelta"):
        type("Wrong", (Demo,), {"kind": "wrong", limit: span})
