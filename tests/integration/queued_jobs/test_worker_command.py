"""The `queued-jobs worker` command, as a process on a real Azurite and a real Postgres."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from queued_jobs import JobStatus
from tests.support.waiting import wait_until
from tools.local_stack.azurite import AzuriteServer

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = timedelta(minutes=3)

PROGRAM = """
from __future__ import annotations

import asyncio, os, time
from datetime import timedelta

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues

class Ask(BaseModel):
    n: int = 1

class Slow(JobRunner[Ask, None]):
    kind = queue = os.environ["KIND"]
    lease = timedelta(seconds=4)

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        while not os.path.exists(os.environ["GO"]):
            await asyncio.sleep(0.05)

class Deaf(JobRunner[Ask, None]):
    kind = queue = os.environ["KIND"] + "-deaf"

    def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        time.sleep(3600)

manager = QueueManager(
    [Slow, Deaf],
    repository=PostgresRepository(Database(os.environ["DATABASE_URL"])),
    queues=StorageQueues(os.environ["QueuesConn"]),
)
"""


class Command:
    """Runs `queued-jobs worker` as a process, on a program of its own."""

    def __init__(self, folder: Path, url: str, account: str) -> None:
        self.go, self.log = folder / "go", folder / "log"
        self.url = url
        self._folder = folder
        (folder / "program.py").write_text(PROGRAM)
        self.kind = f"worker-{uuid4().hex[:16]}"
        self._environment = {
            **os.environ,
            **{"DATABASE_URL": url, "QueuesConn": account, "KIND": self.kind, "GO": str(self.go)},
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "queued_jobs.cli", "worker", "program:manager", "--sweep-every", "1s", *options],
                env=self._environment,
                cwd=self._folder,
                stderr=log,
            )
        self._started.append(process)
        return process

    def queue(self, suffix: str = "") -> None:
        start = (
            "import asyncio, program as p\n"
            f"asyncio.run(p.manager.queue_job(p.{'Deaf' if suffix else 'Slow'}, p.Ask(), user_id='ann'))"
        )
        subprocess.run([sys.executable, "-c", start], env=self._environment, check=True, timeout=180)

    def wait_for(self, status: JobStatus, jobs: int = 1) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:

            def are() -> bool:
                found = conn.execute("select count(*) from queued_jobs.job where status = %s", [status]).fetchone()
                return found == (jobs,)

            wait_until(are, f"{jobs} jobs are {status}")

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def command(tmp_path: Path, jobs_url: str, azurite: AzuriteServer) -> Iterator[Command]:
    command = Command(tmp_path, jobs_url, azurite.connection_string)
    yield command
    command.end()


def test_another_worker_takes_over_from_one_that_was_killed(command: Command) -> None:
    killed = command.start()
    command.queue()
    command.wait_for(JobStatus.RUNNING)
    killed.kill()
    killed.wait()
    command.go.touch()
    command.start()
    command.wait_for(JobStatus.SUCCEEDED)
    with psycopg.connect(command.url) as conn:
        outcomes = conn.execute("select outcome from queued_jobs.attempt order by gen").fetchall()
    assert outcomes == [("lost",), ("succeeded",)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_jobs_end(command: Command, number: signal.Signals) -> None:
    process = command.start("--grace", "10m")
    command.queue()
    command.wait_for(JobStatus.RUNNING)
    process.send_signal(number)
    command.go.touch()
    assert process.wait(PATIENCE.total_seconds()) == 0, command.log.read_text()
    command.wait_for(JobStatus.SUCCEEDED)


def test_after_the_grace_jobs_are_given_back_even_by_a_body_that_never_ends(command: Command) -> None:
    process = command.start("--grace", "1s")
    command.queue()
    command.queue("-deaf")
    command.wait_for(JobStatus.RUNNING, jobs=2)
    process.terminate()
    assert process.wait(PATIENCE.total_seconds()) == 0, command.log.read_text()
    command.wait_for(JobStatus.PENDING, jobs=2)
    with psycopg.connect(command.url) as conn:
        assert set(conn.execute("select outcome from queued_jobs.attempt").fetchall()) == {("released",)}
