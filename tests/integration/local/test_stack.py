"""The whole system: each part can go and come back on its port while the others stay."""

from __future__ import annotations

import os
import signal

import pytest

from scripts.local import ports
from scripts.local.errors import ServerFailed
from scripts.local.one_job import run_one_job
from scripts.local.programs import answers
from scripts.local.stack import Stack
from tests.support.waiting import wait_until


@pytest.mark.parametrize("part", ["host", "hub", "azurite", "postgres"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_part_can_go_and_come_back(stack: Stack, part: str, end: str) -> None:
    server = getattr(stack, part)
    before, settings = list(server.ports), stack.settings()
    getattr(server, end)()
    assert not ports.is_listening(before[0])
    stack.supervisor.raise_if_one_ended()  # it was told to: no accident
    server.start()
    assert server.ports == before
    assert stack.settings() == settings


async def test_a_job_runs_through_all_parts(stack: Stack) -> None:
    outcome = await run_one_job(stack.page_url, stack.invite)
    assert outcome.files == 6
    assert outcome.updates[-1]["status"] == "succeeded"


def test_the_end_of_a_part_by_itself_is_an_accident(stack: Stack) -> None:
    assert stack.hub.pid is not None
    os.kill(stack.hub.pid, signal.SIGKILL)
    wait_until(lambda: stack.hub.exit_code is not None, "the end of the hub is seen")
    with pytest.raises(ServerFailed, match="signalr ended with exit code -9"):
        stack.supervisor.raise_if_one_ended()
    stack.hub.stop()
    stack.hub.start()
    assert answers(stack.host.ports[0], "/api/health")
