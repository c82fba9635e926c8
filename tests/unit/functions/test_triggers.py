"""The functions that the host finds."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar

import azure.functions as func
import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.message import JobMessage
from queued_jobs.testing import FakeQueues, FrozenClock, InMemoryRepository
from triggers import register_triggers


class Ask(BaseModel):
    pass


class Plain(JobRunner[Ask, None]):
    kind = "plain-kind"
    queue = "plain-queue"

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        return None


class Nightly(Plain):
    kind = "nightly"
    queue = "nightly"
    schedule: ClassVar[str | None] = "0 0 3 * * *"


class World:
    def __init__(self) -> None:
        self.clock, self.queues = FrozenClock(), FakeQueues()
        self.repository = InMemoryRepository(self.clock)
        self.manager = self.manager_of(Plain, Nightly)

    def manager_of(self, *runners: type[Plain]) -> QueueManager:
        return QueueManager(runners, repository=self.repository, queues=self.queues)

    def functions(self) -> dict[str, tuple[dict[str, Any], Any]]:
        """What the host indexes: by name the trigger and the function."""
        app = func.AsgiFunctionApp(app=None, http_auth_level=func.AuthLevel.ANONYMOUS)
        register_triggers(app, self.manager)
        return {
            str(function.get_function_name()): (
                json.loads(function.get_raw_bindings()[0]),
                function.get_user_function(),
            )
            for function in app.get_functions()
        }


def test_each_kind_has_its_triggers_and_there_is_one_sweeper() -> None:
    found = {name: trigger for name, (trigger, _) in World().functions().items()}
    del found["http_app_func"]
    assert {name: trigger.get("queueName", trigger.get("schedule")) for name, trigger in found.items()} == {
        "plain_kind": "plain-queue",
        "plain_kind_poison": "plain-queue-poison",
        "nightly": "nightly",
        "nightly_poison": "nightly-poison",
        "nightly_schedule": "0 0 3 * * *",
        "sweep": "%SWEEP_SCHEDULE%",
        "sweep_uploads": "0 0 * * * *",
    }
    assert {trigger["connection"] for trigger in found.values() if "queueName" in trigger} == {"QueuesConn"}


@pytest.mark.parametrize("kind", ["sweep", "sweep-uploads", "plain-kind-poison", "plain-kind-schedule"])
def test_a_kind_that_would_take_another_functions_name_is_refused(kind: str) -> None:
    world = World()
    named = type("Named", (Plain,), {"kind": kind, "queue": "another"})
    world.manager = world.manager_of(named)
    with pytest.raises(TypeError, match=repr(kind)):
        world.functions()


async def test_the_triggers_do_what_they_are_for() -> None:
    world = World()
    functions = {name: function for name, (_, function) in world.functions().items()}
    await functions["nightly_schedule"](timer=None)
    (job,) = world.repository.jobs.values()
    message = func.QueueMessage(body=JobMessage.of(job).encode())
    assert await functions["nightly"](message=message) is None, "a queue function that returns a value fails"
    assert world.repository.jobs[job.id].status == "succeeded"
    assert await functions["nightly_poison"](message=message) is None
    assert len(world.repository.rejected) == 1
    world.queues.unavailable = True
    unsent = await world.manager.queue_job(Plain, Ask(), user_id="ann")
    world.queues.unavailable = False
    world.clock.advance(timedelta(minutes=1))
    await functions["sweep"](timer=None)
    assert world.queues.sent[-1].message.id == unsent.id
