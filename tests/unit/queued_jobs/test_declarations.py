"""Every attribute of a kind, with every sort of value: it works, or the import says what is wrong and what to do."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, get_origin, get_type_hints

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, JobStatus, QueuedJob, ResultFile, RetryPolicy
from queued_jobs.declarations import _ATTRIBUTES, _FINAL, _ON_AN_OBJECT, _ON_THE_CLASS
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import JobBench


class Ask(BaseModel):
    n: int = 1


class Needs(BaseModel):
    n: int


class Answer(BaseModel):
    blob: str = "b"


class Demo(JobRunner[Ask, Answer]):
    kind = queue = "demo"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        return Answer()

    @classmethod
    def file(cls, result: Answer) -> ResultFile | None:
        return ResultFile(container="c", blob=result.blob, file_name="f", content_type="t")


def declared(**attributes: object) -> type[JobRunner[Any, Any]]:
    return type("Declared", (Demo,), attributes)


DECLARED = [
    name
    for name, hint in get_type_hints(JobRunner, include_extras=True).items()
    if get_origin(hint) is ClassVar and not name.startswith("_") and name not in ("request_type", "result_type")
]
METHODS = [
    name
    for name, value in vars(JobRunner).items()
    if not name.startswith("_") and (callable(value) or isinstance(value, (classmethod, staticmethod)))
]


def test_everything_that_can_be_declared_is_checked() -> None:
    assert {*_ATTRIBUTES} == {*DECLARED}
    assert {*_ON_THE_CLASS, *_ON_AN_OBJECT, *_FINAL} == {*METHODS}


#: The author of a kind that declares one of these does the work.
TAKEN_OVER = ("execute", "receive", "receive_poison")


async def yields(self: object, request: Ask, ctx: JobContext[Answer]) -> Any:
    yield 1


async def waits(self: object, *args: object) -> None: ...


VALUES: list[object] = [
    *(None, True, 0, 1, -1, 5, 2**40, 1.5, float("nan"), "", "urgent", "demo-demo", "A b", "x" * 500, "\0", b"x"),
    *((), ("a",), ("a", "a"), ("A",), (1,), ["a"], {"a"}, {}, object(), Exception, ValueError("x")),
    *(timedelta(), timedelta(-1), timedelta(seconds=5), timedelta(days=400), timedelta.max, datetime(2026, 1, 31)),
    *(
        RetryPolicy(),
        RetryPolicy,
        lambda: 1,
        lambda cls: 1,
        yields,
        waits,
        classmethod(waits),
        staticmethod(lambda: "x"),
    ),
    *("0 0 3 * * *", "0 0 3 * *", "* * *", "00:00:05"),
]


@pytest.mark.parametrize("name", [*DECLARED, *METHODS])
async def test_any_value(name: str) -> None:
    taken = 0
    for value in VALUES:
        try:
            kind = declared(**{name: value})
        except TypeError as exc:
            said = str(exc)
        else:
            taken += 1
            if name not in TAKEN_OVER:
                await works(kind)
            continue
        assert said.startswith("Declared: ")
        assert name in said or "the queue" in said
        assert len(said.splitlines()) == 1
    assert taken < len(VALUES) / 2


async def works(kind: type[JobRunner[Any, Any]]) -> None:
    bench = JobBench(kind)
    handle = await bench.manager.queue_job(kind, Ask(), user_id="ann")
    await bench.drain()
    job = bench.job(handle)
    assert job.status.is_final or job.status is JobStatus.RETRYING, job
    registry = JobRegistry([kind])
    assert isinstance(registry.label(job), str)
    registry.file(job)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"priorities": ("urgent")}, r'priorities is .urgent., but must be a tuple of .* such as \("urgent",\)'),
        ({"lease": timedelta(microseconds=1)}, "lease is .*, but must be a timedelta from 0.1 seconds"),
        ({"keep_result": 30}, "keep_result is 30, but must be None or a timedelta"),
        ({"label": lambda request: "x"}, "label is called on the class"),
        ({"label": classmethod(waits)}, "label is async def"),
        ({"on_execute": yields}, "on_execute yields, but must return its result"),
        ({"on_execute": lambda self: Answer()}, "on_execute is called with 2 arguments"),
    ],
)
def test_the_remedy_is_named(attributes: dict[str, object], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        declared(**attributes)


@pytest.mark.parametrize(
    ("request_type", "result_type", "says"),
    [
        (Needs, Answer, r"\(the field n: missing\).*scheduled_request\(due\)"),
        (Ask, dict, "the result type .*, not dict"),
        (Ask, Answer | None, "the result type"),
        (Ask | None, Answer, "the request type"),
        ("Ask", Answer, "the request type"),
    ],
)
def test_types_are_checked(request_type: Any, result_type: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):

        class Wrong(JobRunner[request_type, result_type]):
            kind = queue = "wrong"
            schedule = "0 0 3 * * *"

            async def on_execute(self, request: Any, ctx: JobContext[Any]) -> Any: ...


def test_a_subclass_is_checked_too() -> None:
    with pytest.raises(TypeError, match="Quick: timeout is 5"):

        class Quick(Demo):
            timeout = 5  # type: ignore[assignment]


@pytest.mark.parametrize(
    "values",
    [
        {"permanent": ValueError},
        {"permanent": [ValueError]},
        {"permanent": ("ValueError",)},
        {"permanent": (KeyboardInterrupt,)},
        {"max_attempts": "3"},
        {"max_attempts": True},
        {"max_attempts": 2.5},
        {"base": 5},
        {"cap": "1h"},
    ],
)
def test_a_policy_of_another_type_is_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(values))):
        RetryPolicy(**values)


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """An ordinary decorator, which knows nothing of coroutines."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class TestEitherWay:
    async def test_a_decorator_around_an_async_body_is_looked_through(self) -> None:
        async def body(self: object, request: Ask, ctx: JobContext[Answer]) -> Answer:
            ctx.report(0.5)
            return Answer(blob="traced")

        kind = declared(on_execute=traced(body))
        bench = JobBench(kind)
        handle = await bench.manager.queue_job(kind, Ask(), user_id="ann")
        await bench.drain()
        assert (bench.job(handle).status, bench.job(handle).attempt) == (JobStatus.SUCCEEDED, 1)
        assert bench.job(handle).result == {"blob": "traced"}

    async def test_what_such_a_body_raises_is_its_error(self) -> None:
        async def body(self: object, request: Ask, ctx: JobContext[Answer]) -> Answer:
            raise SystemExit(3)

        kind = declared(on_execute=traced(body), retry=RetryPolicy(max_attempts=1))
        bench = JobBench(kind)
        handle = await bench.manager.queue_job(kind, Ask(), user_id="ann")
        await bench.drain()
        error = bench.job(handle).error
        assert error is not None
        assert "SystemExit" in error.message

    @pytest.mark.parametrize("result", [{"blob": "b"}, "b", None, [Answer()], Ask(), Answer], ids=repr)
    async def test_a_result_of_another_type_fails_at_once(self, result: object) -> None:
        async def body(self: object, request: Ask, ctx: JobContext[Answer]) -> object:
            return result

        kind = declared(on_execute=body)
        bench = JobBench(kind)
        handle = await bench.manager.queue_job(kind, Ask(), user_id="ann")
        await bench.drain()
        job = bench.job(handle)
        assert (job.status, job.attempt) == (JobStatus.FAILED, 1)
        assert job.error is not None
        assert job.error.type == "invalid-result"
        assert "instead of Answer" in job.error.message

    @pytest.mark.parametrize("style", ["async def", "def", "decorated"])
    async def test_hooks(self, style: str) -> None:
        called: list[str] = []

        def hook(name: str) -> Callable[..., Any]:
            def plain(self: object, job: QueuedJob, *_: object) -> None:
                called.append(name)

            async def waiting(self: object, job: QueuedJob, *_: object) -> None:
                called.append(name)

            return {"async def": waiting, "def": plain, "decorated": traced(waiting)}[style]

        async def body(self: object, request: Ask, ctx: JobContext[Answer]) -> Answer:
            return Answer(blob="b" if request.n else "x" * 300_000)

        kind = declared(
            on_execute=body,
            keep_result=timedelta(days=1),
            **{name: hook(name) for name in ("on_status_updated", "on_result_expired", "on_result_discarded")},
        )
        bench = JobBench(kind)
        await bench.manager.queue_job(kind, Ask(), user_id="ann")
        await bench.manager.queue_job(kind, Ask(n=0), user_id="ann")
        await bench.drain()
        bench.clock.advance(timedelta(days=2))
        await bench.drain()
        assert {name for name, _ in itertools.groupby(sorted(called))} == {
            "on_status_updated",
            "on_result_expired",
            "on_result_discarded",
        }
