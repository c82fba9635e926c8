"""Any model at all: it survives its stored form, or it is refused before anything is stored."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from pydantic import (
    BaseModel,
)

from queued_jobs import JobContext, JobRunner, JobStatus, JobView, QueuedJob, QueueManager
from queued_jobs.encryption import seal_with
from queued_jobs.errors import InvalidRequest
from queued_jobs.model import Added, NewJob
from queued_jobs.registry import JobRegistry
from queued_jobs.serialization import NotStorable, form_of
from queued_jobs.testing import InMemoryRepository, JobBench
from tests.support.kinds import Nothing, echo
from tests.support.models import Sample, some_model

MODELS_AN_EXAMPLE = 20


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


def is_same(one: BaseModel, other: BaseModel, sample: Sample) -> bool:
    if type(one) is not type(other):
        return False
    fields = one.__dict__ == other.__dict__ and one.__pydantic_extra__ == other.__pydantic_extra__
    # a lock equals itself alone, and NaN nothing at all
    return one == other or (sample.is_unique and fields) or ("nan" in repr(one) and as_json(one) == as_json(other))


def as_json(model: BaseModel) -> str:
    # not its representation, in which equal time zones may differ
    return model.model_dump_json(warnings=False, fallback=repr)


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
        bench.manager = QueueManager([kind], repository=bench.repository, queues=bench.queues)
        kind.answer = sample.value  # type: ignore[attr-defined]
        try:
            handle = await bench.manager.queue_job(kind, sample.value, user_id="ann")
        except InvalidRequest as exc:
            assert not bench.repository.jobs, exc  # noqa: PT017 (as above)
            await self.try_as_result(sample)
            return
        await bench.manager.runner(kind.kind).receive(bench.queues.take()[0].message.encode().encode())
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
        handle = await bench.manager.queue_job(Returns, Nothing(), user_id="ann")
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
