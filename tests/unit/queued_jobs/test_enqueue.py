"""Starting jobs: the row first, then the message."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from queued_jobs.dashboard.search import JobQuery
from queued_jobs.errors import InvalidRequest
from queued_jobs.message import JobMessage
from tests.unit.queued_jobs.conftest import Ask, Demo, World


async def test_the_row_is_stored_and_the_message_sent(world: World) -> None:
    job = await world.queued()
    (due,) = world.queues.sent
    assert (due.message, due.queue) == (JobMessage.of(job), "demo")
    assert world.row(job).sent_gen == 1
    assert world.shown() == ["pending"]


async def test_a_queue_that_is_away_loses_nothing(world: World) -> None:
    world.queues.unavailable = True
    job = await world.queued()
    assert world.row(job).sent_gen == 0


async def test_a_hub_that_is_away_loses_nothing(world: World) -> None:
    world.notifier.unavailable = True
    job = await world.queued()
    assert world.row(job).sent_gen == 1


async def test_the_same_key_again_sends_and_pushes_nothing(world: World) -> None:
    await world.queued(idempotency_key="k")
    await world.queued(idempotency_key="k")
    assert len(world.queues.sent) == 1
    assert len(world.notifier.pushed) == 1


async def test_a_near_delay_hides_the_message(world: World) -> None:
    await world.queued(delay=timedelta(minutes=2))
    assert world.queues.sent[0].delay == timedelta(minutes=2)


async def test_a_far_delay_is_kept_in_the_row(world: World) -> None:
    job = await world.queued(delay=timedelta(days=30))
    assert world.queues.sent == []
    assert world.row(job).sent_gen == 0


@pytest.mark.parametrize("days", [36_501, 3_000_000, timedelta.max.days])
async def test_a_delay_that_no_list_could_show_is_refused(world: World, days: int) -> None:
    with pytest.raises(InvalidRequest, match="36,500 days"):
        await world.queued(delay=timedelta(days=days))
    assert world.repository.jobs == {}


async def test_a_negative_delay_means_now(world: World) -> None:
    await world.queued(delay=-timedelta(hours=1))
    assert world.queues.sent[0].delay == timedelta()


@pytest.mark.parametrize(
    "options", [{"idempotency_key": ""}, {"idempotency_key": "k" * 201}, {"unique_key": "k" * 201}]
)
async def test_keys_of_a_wrong_length_are_refused(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="must have 1 to 200 characters"):
        await world.queued(**options)
    assert world.repository.jobs == {}


@pytest.mark.parametrize("wrong", [5, True, ["ann"], b"ann", UUID(int=1), "a\0", "\ud800", {"a": 1}, 1.5, object()])
@pytest.mark.parametrize("name", ["user_id", "idempotency_key", "unique_key"])
async def test_an_identifier_that_is_none_is_refused_by_its_name(world: World, name: str, wrong: Any) -> None:
    options: dict[str, Any] = {"user_id": "ann"} | {name: wrong}
    with pytest.raises(InvalidRequest, match=f"^{name} "):
        await world.manager.queue_job(Demo, Ask(), **options)
    assert world.repository.jobs == {}


@pytest.mark.parametrize("options", [{"user_id": None}, {"delay": 5}, {"delay": None}, {"delay": "1"}])
async def test_other_arguments_of_a_wrong_type_are_refused_too(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"^{next(iter(options))} "):
        await world.manager.queue_job(Demo, Ask(), **({"user_id": "ann"} | options))
    assert world.repository.jobs == {}


@pytest.mark.parametrize(
    "name", ["Ann\u202e", "Ann \u2066Berg", "Ann\x07", "Ann\x1b[2J", "\nAnn\r\n\tBerg", "Ann \u200fB"]
)
async def test_a_name_neither_hides_nor_reorders_what_is_beside_it(world: World, name: str) -> None:
    stored = world.row(await world.queued(user_name=name)).user_name
    assert stored is not None
    assert stored.startswith("Ann")
    assert stored.isprintable()


async def test_a_name_is_stored_as_it_is_searched(world: World) -> None:
    decomposed, composed = "A\u030astro\u0308m", "\u00c5str\u00f6m"
    assert world.row(await world.queued(user_name=decomposed)).user_name == composed
    assert JobQuery(user_name=decomposed).to_params()["user_name"] == composed


async def test_a_name_of_spaces_is_none(world: World) -> None:
    assert world.row(await world.queued(user_name=" \t ")).user_name is None


async def test_keys_of_scheduled_jobs_which_are_kept_forever_are_not_for_callers(world: World) -> None:
    with pytest.raises(InvalidRequest, match="schedule:"):
        await world.queued(idempotency_key="schedule:2026-01-31T00:00:00+00:00")
    with pytest.raises(InvalidRequest, match="schedule:"):
        await world.manager.queue_jobs(Demo, [Ask()], user_id="ann", idempotency_key="schedule:")
    assert world.repository.jobs == {}
