"""Requests and results: each reaches the body, or its readers, as it was, or is refused before anything is stored."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    Secret,
    SecretBytes,
    SecretStr,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from queued_jobs import JobContext, JobHandle, JobRunner, JobStatus, JobView, QueuedJob
from queued_jobs.encryption import seal_with
from queued_jobs.errors import InvalidRequest, InvalidResult
from queued_jobs.model import Added, NewJob
from queued_jobs.registry import JobRegistry
from queued_jobs.serialization import NotStorable, form_of
from queued_jobs.testing import InMemoryRepository, JobBench, run_inline
from tests.support.models import Sample, some_model
from tests.unit.queued_jobs.conftest import World

MODELS_AN_EXAMPLE = 20
JOB: QueuedJob = asyncio.run(World().queued())


@pytest.fixture(autouse=True, scope="module")
def keys() -> Iterator[None]:
    seal_with(["a-key-of-the-tests-that-is-long-enough"])
    yield
    seal_with([])


def kept(value: Mapping[str, Any] | None) -> Any:
    """What Postgres would return: decimals without exponents, and every object another one."""
    if value is None:
        return None
    return json.loads(json.dumps(value), parse_float=lambda text: json.loads(f"{Decimal(text):f}"))


class JsonRepository(InMemoryRepository):
    async def add(self, *jobs: NewJob, conn: AsyncConnection[Any] | None = None) -> list[Added]:
        return await super().add(*(dataclasses.replace(job, request=kept(job.request)) for job in jobs), conn=conn)

    async def succeed(
        self, job: QueuedJob, result: Mapping[str, Any] | None, *, conn: AsyncConnection[Any] | None = None
    ) -> QueuedJob | None:
        return await super().succeed(job, kept(result), conn=conn)


def echo(model: type[BaseModel]) -> type[JobRunner[Any, Any]]:
    """Return a kind that notes its request, and returns what it is told to."""

    class Echo(JobRunner[model, model]):  # type: ignore[valid-type]
        kind = queue = "echo"
        seen: ClassVar[list[BaseModel]] = []
        answer: ClassVar[BaseModel]

        async def on_execute(self, request: Any, ctx: JobContext[Any]) -> Any:
            self.seen.append(request)
            return self.answer

    return Echo


def is_same(one: BaseModel, other: BaseModel, sample: Sample) -> bool:
    if type(one) is not type(other):
        return False
    fields = one.__dict__ == other.__dict__ and one.__pydantic_extra__ == other.__pydantic_extra__
    # a lock equals itself alone, and what is no number nothing at all
    return one == other or (sample.is_unique and fields) or ("nan" in repr(one) and repr(one) == repr(other))


class TestAnyModel:
    @settings(max_examples=100, deadline=None)
    @given(seed=st.integers(0, 2**60))
    async def test_it_survives_or_is_refused(self, seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(MODELS_AN_EXAMPLE):
            await self.try_one(some_model(dice))

    async def try_one(self, sample: Sample) -> None:
        try:
            kind = echo(sample.model)
        except TypeError as exc:
            assert "cannot be stored: the field" in str(exc)  # noqa: PT017 (many are taken)
            return
        bench = JobBench(kind)
        bench.repository = JsonRepository(bench.clock)
        kind.answer = sample.value  # type: ignore[attr-defined]
        try:
            handle = await bench.queue(kind, sample.value)
        except InvalidRequest as exc:
            assert not bench.repository.jobs, exc  # noqa: PT017 (as above)
            await self.try_as_result(sample)
            return
        runner = kind(bench.repository, bench.queues, bench.notifier)
        await runner.receive(bench.queues.take()[0].message.encode().encode())
        (seen,) = kind.seen  # type: ignore[attr-defined]
        assert is_same(seen, sample.value, sample), (seen, sample.value)
        job = bench.job(handle)
        assert job.status is JobStatus.SUCCEEDED, job.error
        result = kind.read_result(job)
        assert is_same(result, sample.value, sample), (result, sample.value)
        json.dumps(JobView.of(job, JobRegistry([kind])).to_json(), allow_nan=False)

    async def try_as_result(self, sample: Sample) -> None:
        """What cannot be a request cannot be a result either, and the job is not tried again for it."""

        class Returns(JobRunner[Nothing, sample.model]):  # type: ignore[name-defined]
            kind = queue = "returns"

            async def on_execute(self, request: Nothing, ctx: JobContext[Any]) -> Any:
                return sample.value

        bench = JobBench(Returns)
        handle = await bench.queue(Returns, Nothing())
        await bench.drain()
        job = bench.job(handle)
        assert (job.status, job.attempt, job.result) == (JobStatus.FAILED, 1, None)
        assert job.error is not None
        assert job.error.type == "invalid-result"

    def test_many_survive_and_many_do_not(self) -> None:
        dice = random.Random(1)
        counts = {True: 0, False: 0}
        for _ in range(500):
            sample = some_model(dice)
            try:
                form_of(sample.model).dump(sample.value)
                counts[True] += 1
            except NotStorable:
                counts[False] += 1
        assert min(counts.values()) >= 100


class Nothing(BaseModel):
    pass


def made[ModelT: BaseModel](model: type[ModelT], /, **values: Any) -> ModelT:
    return model.model_validate(values)


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
    with pytest.raises(InvalidRequest, match="the field _seen would be read back as another value"):
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
        (ReadAs, made(Longer, rowCount=5), "Longer instead of a ReadAs"),
        (ReadAs, ReadAs.model_construct(row_count="many"), "row_count"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
async def test_what_cannot_survive_is_refused_by_name(taken: type[BaseModel], model: BaseModel, names: str) -> None:
    kind = echo(taken)
    kind.answer = model  # type: ignore[attr-defined]
    bench = JobBench(kind)
    with pytest.raises(InvalidRequest, match=names):
        await bench.queue(kind, model)
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
    handle: JobHandle[Any] = await bench.queue(Returns, Nothing())
    await bench.drain()
    job = bench.job(handle)
    assert job.attempt == 1
    if job.error is not None:
        assert job.error.type == "invalid-result"
        raise InvalidResult(job.error.message)
    return job


@checked_dataclass
class Key:
    secret: SecretStr


class Entry(TypedDict):
    password: SecretBytes


def with_field(type_: Any) -> type[BaseModel]:
    return type("Login", (BaseModel,), {"__annotations__": {"user": str, "key": type_}, "__module__": __name__})


@pytest.mark.parametrize(
    "type_",
    [
        SecretStr,
        SecretBytes,
        Secret[int],
        SecretStr | None,
        list[SecretStr],
        dict[str, SecretStr],
        tuple[int, SecretStr],
        Key,
        list[Entry],
        with_field(SecretStr),
        int | SecretStr,
    ],
    ids=str,
)
@pytest.mark.parametrize("side", ["request", "result"])
def test_a_secret_is_refused_at_import(type_: Any, side: str) -> None:
    login = with_field(type_)
    with pytest.raises(TypeError, match=r"Login cannot be stored: the field key.* is a secret.* make its type Sealed"):

        class Wrong(JobRunner[login if side == "request" else Nothing, login]):  # type: ignore[misc]
            kind = queue = "wrong"

            async def on_execute(self, request: Any, ctx: JobContext[Any]) -> Any: ...


async def test_a_secret_that_somebody_writes_out_is_theirs() -> None:
    login = with_field(Annotated[SecretStr, PlainSerializer(lambda value: value.get_secret_value(), when_used="json")])
    kind = echo(login)
    kind.answer = made(login, user="a", key="b")  # type: ignore[attr-defined]
    await run_inline(kind, made(login, user="a", key="c"))
    assert kind.seen[0].key.get_secret_value() == "c"  # type: ignore[attr-defined]


def test_a_field_that_is_never_stored_is_refused_at_import() -> None:
    class Wrong(BaseModel):
        n: int = Field(exclude=True)

    with pytest.raises(TypeError, match="the field n is left out of the JSON and has no default"):
        echo(Wrong)


class Late(BaseModel):
    inner: NotYet  # type: ignore[name-defined]  # noqa: F821 (its type is not there yet)


async def test_what_is_not_known_at_import_is_looked_at_later() -> None:
    kind = echo(Late)
    Late.model_rebuild(_types_namespace={"NotYet": SecretStr})
    with pytest.raises(InvalidRequest, match="the field inner is a secret"):
        await run_inline(kind, Late(inner=SecretStr("x")))


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
    await bench.queue(Leaves, Nothing())
    await bench.drain()
    assert discarded == [Rounded(share=0.123)]
