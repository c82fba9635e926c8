"""A repeated call is known by what its caller has set."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from queued_jobs import JobContext, JobRunner
from queued_jobs.errors import KeyReused
from queued_jobs.serialization import form_of
from queued_jobs.testing import JobBench


class Part(BaseModel):
    name: str
    key: UUID = Field(default_factory=uuid4)


class Order(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    order_id: UUID = Field(default_factory=uuid4)
    parts: list[Part] = []
    tags: set[str] = set()
    note: str | None = None


class Ship(JobRunner[Order, None]):
    kind = queue = "ship"

    async def on_execute(self, request: Order, ctx: JobContext[None]) -> None: ...


SAME: list[dict[str, Any]] = [
    {},
    {"parts": [{"name": "a"}, {"name": "b"}]},
    {"tags": ["x", "y", "z", "longer", "words"]},
    {"order_id": "00000000-0000-0000-0000-000000000005"},
    {"note": None},
]
OTHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"order_id": "00000000-0000-0000-0000-000000000005"}),
    ({"parts": [{"name": "a"}]}, {"parts": [{"name": "b"}]}),
    ({"parts": [{"name": "a"}]}, {"parts": []}),
    ({"tags": ["x"]}, {"tags": ["y"]}),
    ({"note": "a"}, {"note": "b"}),
]


@pytest.mark.parametrize("sent", SAME, ids=str)
async def test_the_same_is_the_same(sent: dict[str, Any]) -> None:
    bench = JobBench(Ship)
    first = await bench.manager.queue_job(Ship, Order.model_validate(sent), idempotency_key="k", user_id="ann")
    again = await bench.manager.queue_job(Ship, Order.model_validate(sent), idempotency_key="k", user_id="ann")
    assert (again.duplicate, again.id) == (True, first.id)


async def test_names_and_aliases_are_one() -> None:
    bench = JobBench(Ship)
    sent = "00000000-0000-0000-0000-000000000005"
    await bench.manager.queue_job(Ship, Order.model_validate({"orderId": sent}), idempotency_key="k", user_id="ann")
    assert (
        await bench.manager.queue_job(
            Ship, Order.model_validate({"order_id": sent}), idempotency_key="k", user_id="ann"
        )
    ).duplicate


@pytest.mark.parametrize(("first", "second"), OTHER, ids=str)
async def test_another_is_refused(first: dict[str, Any], second: dict[str, Any]) -> None:
    bench = JobBench(Ship)
    await bench.manager.queue_job(Ship, Order.model_validate(first), idempotency_key="k", user_id="ann")
    with pytest.raises(KeyReused):
        await bench.manager.queue_job(Ship, Order.model_validate(second), idempotency_key="k", user_id="ann")


def test_the_order_of_a_set_is_nothing_that_was_asked() -> None:
    """Another process has another order."""
    form = form_of(Order)
    digests = set()
    for words in (["a", "b", "c"], ["c", "a", "b"]):
        digests.add(form.digest(Order.model_construct({"tags"}, tags=words)))
    assert len(digests) == 1
