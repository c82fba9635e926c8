"""Jobs under the debugger: they pause at breakpoints, for longer than their leases, and are not lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import psycopg
import pytest

from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from tests.support.client import FINAL, Person
from tests.support.debug_client import DebugClient
from tests.support.waiting import wait_until
from tools.local_stack import ports
from tools.local_stack.reloader import Reloader
from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, temporary_folder
from tools.test_app.folder import make_app

LEASE = timedelta(seconds=1)

JOB = """
from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner


class Nothing(BaseModel):
    pass


class Answer(BaseModel):
    answer: int


class Watched(JobRunner[Nothing, Answer]):
    kind = "KIND"
    queue = "KIND"
    lease = timedelta(seconds=1)
    timeout = timedelta(seconds=2)

    BODY(self, request: Nothing, ctx: JobContext[Answer]) -> Answer:
        answer = 42
        STOP
        return Answer(answer=answer)
"""


def write_job(app: Path, kind: str, body: str, stop: str) -> Path:
    path = app / "jobs" / f"{kind.replace('-', '_')}.py"
    path.write_text(JOB.replace("KIND", kind).replace("BODY", body).replace("STOP", stop))
    return path


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = make_app(tmp_path_factory.mktemp("debug") / "app")
    write_job(app, "on-the-loop", "async def on_execute", "answer += 0")
    write_job(app, "in-a-thread", "def on_execute", "answer += 0")
    write_job(app, "with-a-call", "async def on_execute", "breakpoint()")
    return app


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return []


@pytest.fixture(scope="module")
def debugged(app: Path, lines: list[str]) -> Iterator[Stack]:
    (port,) = ports.choose_ports(1)
    with temporary_folder() as folder:
        options = StackOptions(durable=False, app=app, drain=timedelta(seconds=0.5), debug_port=port)
        system = Stack(State(folder), options, emit=lambda _, line: lines.append(line))
        try:
            system.start()
            yield system
        finally:
            system.stop()
            system.delete_data()


@pytest.fixture
def ann(debugged: Stack) -> Iterator[Person]:
    with Person(debugged.page_url, debugged.invite) as ann:
        yield ann


def attach(stack: Stack) -> DebugClient:
    assert stack.debug_port is not None
    return DebugClient(stack.debug_port)


def start(person: Person, kind: str) -> str:
    key: str = person.call("POST", f"/api/jobs/{kind}", json={}).json()["id"]
    return key


def line_of(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def row(stack: Stack, key: str) -> tuple[str, int, bool]:
    """Its status, its attempts, and whether its lease still holds."""
    with psycopg.connect(stack.database_url) as connection:
        found = connection.execute(
            "select status, attempt, coalesce(lease_until > now(), false) from queued_jobs.job where id = %s", [key]
        ).fetchone()
    assert found is not None
    return found


def is_older_than(stack: Stack, key: str, age: timedelta) -> bool:
    with psycopg.connect(stack.database_url) as connection:
        statement = "select from queued_jobs.job where id = %s and started_at + %s < now()"
        return connection.execute(statement, [key, age]).fetchone() is not None


@pytest.mark.parametrize("kind", ["on-the-loop", "in-a-thread"])
async def test_a_paused_job_keeps_its_lease_and_succeeds_in_its_first_attempt(
    debugged: Stack, app: Path, ann: Person, kind: str
) -> None:
    path = app / "jobs" / f"{kind.replace('-', '_')}.py"
    with attach(debugged) as editor:
        editor.set_breakpoint(path, line_of(path, "answer += 0"))
        key = start(ann, kind)
        thread, *place = editor.paused_at()
        assert place == [path.name, line_of(path, "answer += 0")]
        wait_until(lambda: is_older_than(debugged, key, 3 * LEASE), "the job is paused for longer than its own lease")
        database = Database(debugged.database_url)
        assert await PostgresRepository(database).rescue(limit=10) == []
        await database.close()
        assert row(debugged, key) == ("running", 1, True)
        editor.continue_(thread)
        ended = ann.wait(key, lambda job: job["status"] in FINAL)
    assert (ended["status"], ended["result"], ended["attempt"]) == ("succeeded", {"answer": 42}, 1)


def test_a_call_of_breakpoint_pauses_if_an_editor_is_attached_and_else_is_logged(
    debugged: Stack, app: Path, ann: Person, lines: list[str]
) -> None:
    key = start(ann, "with-a-call")
    assert ann.wait(key, lambda job: job["status"] in FINAL)["status"] == "succeeded"
    assert [line for line in lines if "breakpoint() is ignored" in line and "with_a_call.py" in line]
    with attach(debugged) as editor:
        key = start(ann, "with-a-call")
        thread, name, _ = editor.paused_at()
        assert name == "with_a_call.py"
        editor.continue_(thread)
        ended = ann.wait(key, lambda job: job["status"] in FINAL)
    assert (ended["status"], ended["attempt"]) == ("succeeded", 1)


def test_a_job_continues_when_its_editor_goes_away(debugged: Stack, ann: Person) -> None:
    with attach(debugged) as editor:
        key = start(ann, "with-a-call")
        editor.paused_at()
    assert ann.wait(key, lambda job: job["status"] in FINAL)["attempt"] == 1


def test_saved_code_ends_a_pause_and_the_next_job_runs_it(debugged: Stack, app: Path, ann: Person) -> None:
    reloader = Reloader(debugged, [app], lambda *_: None, Event())
    path = app / "jobs" / "with_a_call.py"
    try:
        with attach(debugged) as editor:
            key = start(ann, "with-a-call")
            editor.paused_at()
            before = debugged.host.pid
            path.write_text(path.read_text().replace("answer = 42", "answer = 43"))

            def is_reloaded() -> bool:
                reloader.look()
                return debugged.host.pid != before

            wait_until(is_reloaded, "the new code runs")
            editor.event("terminated")
    finally:
        reloader.close()
    ended = ann.wait(key, lambda job: job["status"] in FINAL)
    assert (ended["status"], ended["result"], ended["attempt"]) == ("succeeded", {"answer": 42}, 1)
    with attach(debugged) as editor:
        key = start(ann, "with-a-call")
        thread, *_ = editor.paused_at()
        editor.continue_(thread)
        assert ann.wait(key, lambda job: job["status"] in FINAL)["result"] == {"answer": 43}


def test_the_host_ends_within_its_time_while_a_job_is_paused(debugged: Stack, ann: Person) -> None:
    with attach(debugged) as editor:
        key = start(ann, "with-a-call")
        editor.paused_at()
        began = time.monotonic()
        debugged.host.stop()
        assert time.monotonic() - began < 10
        assert row(debugged, key)[0] in ("pending", "retrying", "succeeded")
    debugged.host.start()
    assert ann.wait(key, lambda job: job["status"] in FINAL)["status"] == "succeeded"
