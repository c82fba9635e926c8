"""Requests and results: each reaches the body, or its readers, as it was, or is refused before anything is stored."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PrivateAttr,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, JobView, QueuedJob
from queued_jobs.encryption import seal_with
from queued_jobs.errors import InvalidRequest, InvalidResult
from queued_jobs.registry import JobRegistry
from queued_jobs.serialization import form_of
from queued_jobs.testing import JobBench, run_inline
from tests.support.kinds import Nothing, echo, made
from tests.unit.queued_jobs.conftest import World

JOB: QueuedJob = asyncio.run(World().queued())


@pytest.fixture(autouse=True, scope="module")
def keys() -> Iterator[None]:
    seal_with(["a-key-of-the-tests-that-is-long-enough"])
    yield
    seal_with([])


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    when: datetime
    colour: Colour
    numbers: tuple[int, ...]


class Counted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: list[str]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.words)


class ReadAs(BaseModel):
    row_count: int = Field(validation_alias="rowCount")


class WrittenAs(BaseModel):
    row_count: int = Field(serialization_alias="rowCount")


class ReadAsOneOf(BaseModel):
    row_count: int = Field(validation_alias=AliasChoices("rows", AliasPath("counts", 0)))


class NamedTwice(BaseModel):
    row_count: int = Field(validation_alias="rows_read", serialization_alias="rowsWritten")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    row_count: int


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class SwappedOnOneSide(BaseModel):
    a: int = Field(validation_alias="b")
    b: int = Field(validation_alias="a")


class Boundless(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")

    share: float


class Text(BaseModel):
    items: Json[list[int]]


class Outer(BaseModel):
    inner: ReadAs
    others: dict[str, WrittenAs]


class Session(BaseModel):
    n: int = 1
    _seen: int = PrivateAttr(default=0)
    _lock: object = PrivateAttr(default_factory=object)


@pytest.mark.parametrize(
    "model",
    [
        Strict(when=NOON, colour=Colour.RED, numbers=(1, 2)),
        Counted(words=["a"]),
        made(ReadAs, rowCount=5),
        WrittenAs(row_count=5),
        made(ReadAsOneOf, rows=5),
        made(NamedTwice, rows_read=5),
        made(Camel, rowCount=5),
        made(Swapped, b=1, a=2),
        made(SwappedOnOneSide, b=1, a=2),
        Boundless(share=float("inf")),
        made(Text, items="[1]"),
        Outer(inner=made(ReadAs, rowCount=1), others={"a": WrittenAs(row_count=2)}),
    ],
    ids=lambda model: type(model).__name__,
)
async def test_it_survives(model: BaseModel) -> None:
    kind = echo(type(model))
    kind.answer = model  # type: ignore[attr-defined]
    assert await run_inline(kind, model) == model
    assert kind.seen == [model]  # type: ignore[attr-defined]


async def test_what_is_private_is_made_afresh() -> None:
    kind = echo(Session)
    kind.answer = Session(n=2)  # type: ignore[attr-defined]
    assert (await run_inline(kind, Session(n=3))).n == 2
    changed = Session()
    changed._seen = 5
    with pytest.raises(InvalidRequest, match="the field _seen"):
        await run_inline(kind, changed)


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    value: Any = None
    number: int | float | str = 0


class Rounded(BaseModel):
    share: float

    @field_serializer("share")
    def _rounds(self, share: float) -> float:
        return round(share, 1)


class Left(BaseModel):
    note: str = Field(default="", exclude=True)


class Trimmed(BaseModel):
    """Its validator does not take what it returns."""

    prefix: str

    @field_validator("prefix")
    @classmethod
    def _stays(cls, prefix: str) -> str:
        if ".." in prefix.split("/"):
            raise ValueError("must not leave")
        return prefix.strip()


class Wrapped(BaseModel):
    items: list[Any]

    @model_validator(mode="before")
    @classmethod
    def _wraps(cls, data: Any) -> Any:
        return {"items": [data["items"]]}


class Longer(ReadAs):
    more: int = 1


class Unprintable(Exception):
    """Its objects are keys and errors that have no text."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class Refusing(BaseModel):
    word: str

    @field_serializer("word")
    def _refuses(self, word: str) -> str:
        raise Unprintable


@pytest.mark.parametrize(
    ("taken", "model", "names"),
    [
        (Loose, Loose(value=(1, 2)), "value"),
        (Loose, Loose(value=NOON), "value"),
        (Loose, Loose(value={"a": [b"x"]}), r"value\.a\.0"),
        (Loose, Loose(value="a\0"), "value"),
        (Loose, Loose(value={"\0": 1}), "value"),
        (Loose, Loose(value="\ud800"), "value"),
        (Loose, Loose(value=float("nan")), "value"),
        (Loose, Loose(value=10**5_000), "value"),
        (Loose, made(Loose, other={1}), "other"),
        (Loose, Loose(value={1: 2}), "value"),
        (Loose, Loose(value={10**5_000: 1}), "value"),
        (Loose, Loose(value={10**5_000: {1}}), "value"),
        (Loose, Loose(value={Unprintable(): 1}), "value"),
        (Refusing, Refusing(word="a"), "word"),
        (Rounded, Rounded(share=0.123), "share"),
        (Left, Left(note="x"), "note"),
        (Trimmed, Trimmed(prefix=" ../x"), "prefix"),
        (Wrapped, Wrapped.model_validate({"items": [1]}), "items"),
        (ReadAs, made(Longer, rowCount=5), "Longer instead of ReadAs"),
        (ReadAs, ReadAs.model_construct(row_count="many"), "row_count"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
async def test_what_cannot_survive_is_refused_by_name(taken: type[BaseModel], model: BaseModel, names: str) -> None:
    kind = echo(taken)
    kind.answer = model  # type: ignore[attr-defined]
    bench = JobBench(kind)
    with pytest.raises(InvalidRequest, match=names):
        await bench.manager.queue_job(kind, model, user_id="ann")
    assert bench.repository.jobs == {}
    with pytest.raises(InvalidResult, match=names):
        kind.read_result(await _finished(kind, model))


async def _finished(kind: type[JobRunner[Any, Any]], result: BaseModel) -> QueuedJob:
    """Run a job whose result this is, or raise why it failed."""

    class Returns(JobRunner[Nothing, type(result)]):  # type: ignore[misc]
        kind = queue = "returns"

        async def on_execute(self, request: Nothing, ctx: JobContext[Any]) -> Any:
            return result

    Returns.result_type = kind.result_type
    bench = JobBench(Returns)
    handle: JobHandle[Any] = await bench.manager.queue_job(Returns, Nothing(), user_id="ann")
    await bench.drain()
    job = bench.job(handle)
    assert job.attempt == 1
    if job.error is not None:
        assert job.error.type == "invalid-result"
        raise InvalidResult(job.error.message)
    return job


class TestReaders:
    def view(self, result: BaseModel, stored: Mapping[str, Any]) -> Mapping[str, Any] | None:
        kind = echo(type(result))
        job = dataclasses.replace(JOB, kind="echo", status=JobStatus.SUCCEEDED, result=stored)
        return JobView.of(job, JobRegistry([kind])).result

    @pytest.mark.parametrize(
        ("result", "stored", "shown"),
        [
            (Counted(words=["a"]), {"words": ["a"]}, {"words": ["a"], "count": 1}),
            (WrittenAs(row_count=5), {"row_count": 5}, {"rowCount": 5}),
            (made(NamedTwice, rows_read=5), {"row_count": 5}, {"rowsWritten": 5}),
            (made(Camel, rowCount=5), {"rowCount": 5}, {"rowCount": 5}),
            (made(Text, items="[1]"), {"items": "[1]"}, {"items": [1]}),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_people_see_what_they_always_saw(
        self, result: BaseModel, stored: dict[str, Any], shown: dict[str, Any]
    ) -> None:
        assert form_of(type(result)).dump(result) == stored
        assert self.view(result, stored) == shown == json.loads(result.model_dump_json(by_alias=True))

    def test_what_no_longer_fits_is_shown_as_it_is(self) -> None:
        assert self.view(Counted(words=[]), {"of": "another version"}) == {"of": "another version"}

    @pytest.mark.parametrize(
        ("model", "stored"),
        [
            (Camel, {"rowCount": 5}),
            (ReadAs, {"rowCount": 5}),
            (WrittenAs, {"row_count": 5}),
            (Counted, {"words": []}),
        ],
        ids=lambda value: str(value)[:30],
    )
    def test_what_earlier_versions_could_read_is_read(self, model: type[BaseModel], stored: dict[str, Any]) -> None:
        """They took the keys that validation asks for."""
        assert form_of(model).load(stored) == model.model_validate(stored)

    async def test_a_follow_up_reads_results_by_their_kind(self) -> None:
        job = dataclasses.replace(JOB, kind="echo", result={"row_count": 5}, request={"row_count": 6})
        kind = echo(WrittenAs)
        assert kind.read_result(job) == WrittenAs(row_count=5)
        assert kind.read_request(job) == WrittenAs(row_count=6)
        assert kind.read_result(dataclasses.replace(job, result=None)) is None
        with pytest.raises(InvalidResult, match="the field row_count: missing"):
            kind.read_result(dataclasses.replace(job, result={}))
        with pytest.raises(InvalidRequest, match="the field row_count: Field required"):
            kind.read_request(dataclasses.replace(job, request={}))


async def test_what_a_result_left_behind_is_discarded_with_it() -> None:
    discarded = []

    class Leaves(JobRunner[Nothing, Rounded]):
        kind = queue = "leaves"

        async def on_execute(self, request: Nothing, ctx: JobContext[Rounded]) -> Rounded:
            return Rounded(share=0.123)

        async def on_result_discarded(self, job: QueuedJob, result: Rounded) -> None:
            discarded.append(result)

    bench = JobBench(Leaves)
    await bench.manager.queue_job(Leaves, Nothing(), user_id="ann")
    await bench.drain()
    assert discarded == [Rounded(share=0.123)]
