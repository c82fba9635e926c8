"""Jobs from code without an event loop: a script, a Flask application, threads, forked workers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import flask
import psycopg
import pytest

from queued_jobs import JobStatus, QueuedJob, QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.blocking import BlockingJobs
from queued_jobs.database import Database
from queued_jobs.errors import InvalidRequest, JobFailed
from queued_jobs.notifier import NullNotifier
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from queued_jobs.testing import FakeQueues, JobBench
from queued_jobs.tracker import ANY_USER
from tests.integration.queued_jobs.conftest import Answer, Ask, Demo
from tests.support.waiting import wait_until
from tools.local_stack.azurite import AzuriteServer

ROOT = Path(__file__).resolve().parents[3]
CALLS, THREADS = 1_000, 8
LONG, NOW = timedelta(minutes=3), timedelta()


class SlowNotifier(NullNotifier):
    """Lets a thousand other things go first."""

    immediate = False

    def __init__(self) -> None:
        self.pushed: set[str] = set()

    async def job_changed(self, *jobs: QueuedJob) -> None:
        for _ in range(1_000):
            await asyncio.sleep(0)
        self.pushed |= {str(job.id) for job in jobs}


@pytest.fixture
def manager(jobs_url: str) -> QueueManager:
    return QueueManager([Demo], repository=PostgresRepository(Database(jobs_url)), queues=FakeQueues())


@pytest.fixture
def jobs(manager: QueueManager) -> Iterator[BlockingJobs]:
    with manager.blocking() as jobs:
        yield jobs


@pytest.fixture
def held(jobs_url: str) -> Callable[[], list[Any]]:
    """Which connections the library holds, by their process and its start: another one would be told from the first."""

    def ask() -> list[Any]:
        with psycopg.connect(jobs_url) as conn:
            return conn.execute(
                "select pid, backend_start from pg_stat_activity"
                " where datname = current_database() and application_name = 'queued-jobs'"
                " and backend_type = 'client backend'"
            ).fetchall()

    return ask


def start(jobs: BlockingJobs, number: int = 1) -> Any:
    return jobs.queue_job(Demo, Ask(n=number), user_id="ann").id


def run_all(jobs: BlockingJobs, manager: QueueManager, queues: FakeQueues) -> None:
    """Do what a worker does, here in the portal's own loop."""
    for due in queues.take():
        jobs.call(manager.runner("demo").execute, due.message)


class TestConnections:
    def test_a_thousand_calls_take_one_thread_and_one_connection(
        self, jobs: BlockingJobs, held: Callable[[], list[Any]]
    ) -> None:
        start(jobs)
        (connection,) = held()
        threads = threading.active_count()
        ids = {start(jobs, number) for number in range(CALLS)}
        assert len(ids) == CALLS
        assert held() == [connection]
        assert threading.active_count() <= threads + 4, "the four of `offload`"

    def test_so_do_those_of_eight_threads(self, jobs: BlockingJobs, held: Callable[[], list[Any]]) -> None:
        start(jobs)
        (connection,) = held()
        with ThreadPoolExecutor(THREADS) as threads:
            ids = set(threads.map(lambda number: start(jobs, number), range(CALLS)))
        assert len(ids) == CALLS
        assert held() == [connection]

    def test_so_do_the_views_of_a_flask_application(
        self, jobs: BlockingJobs, held: Callable[[], list[Any]], manager: QueueManager
    ) -> None:
        app = flask.Flask(__name__)

        @app.post("/greet/<int:number>")
        def greet(number: int) -> tuple[dict[str, str], int]:
            handle = jobs.queue_job(Demo, Ask(n=number), user_id="ann")
            return {"id": str(handle.id)}, 202

        @app.get("/jobs/<job_id>")
        def show(job_id: str) -> dict[str, str]:
            return {"status": jobs.call(manager.tracker.get, UUID(job_id), user_id="ann").status}

        def request(number: int) -> str:
            answer = app.test_client().post(f"/greet/{number}")
            assert answer.status_code == 202
            assert answer.json is not None
            return str(answer.json["id"])

        request(0)
        (connection,) = held()
        with ThreadPoolExecutor(THREADS) as threads:
            ids = list(threads.map(request, range(CALLS)))
        assert len(set(ids)) == CALLS
        assert app.test_client().get(f"/jobs/{ids[-1]}").json == {"status": "pending"}
        assert held() == [connection]

    def test_the_flask_application_of_the_how_to_runs(self, manager: QueueManager) -> None:
        text = (ROOT / "docs/how-to/start-jobs-from-your-code.md").read_text()
        (example,) = re.findall(r"## Flask\n\n```python\n(.*?)```", text, re.DOTALL)
        app = flask.Flask(__name__)
        names = {
            "app": app,
            "flask": flask,
            "manager": manager,
            "current_user": SimpleNamespace(id="ann"),
            "WordCount": Demo,
            "WordCountRequest": lambda text: Ask(n=len(text)),
        }
        exec(example, names)  # noqa: S102 (our own document)
        with app.test_client() as client:
            started = client.post("/count", data={"text": "the quick brown fox"})
            assert (started.status_code, started.json is not None) == (202, True)
            shown = client.get(f"/count/{started.json['id']}")  # type: ignore[index]
        assert shown.json == {"status": "pending", "progress": None}
        names["jobs"].close()  # type: ignore[attr-defined]

    def test_more_are_opened_where_more_are_allowed(self, manager: QueueManager, held: Callable[[], list[Any]]) -> None:
        with manager.blocking(connections=3) as jobs, ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda number: start(jobs, number), range(CALLS // 4)))
            assert 1 < len(held()) <= 3

    def test_the_end_of_the_block_closes_it_and_another_block_opens_another(
        self, manager: QueueManager, held: Callable[[], list[Any]]
    ) -> None:
        for _ in range(2):
            with manager.blocking() as jobs:
                start(jobs)
            wait_until(lambda: held() == [], "the connection is closed")


class TestCalls:
    def test_results_batches_and_reads_are_those_of_the_manager(self, jobs_url: str) -> None:
        queues = FakeQueues()
        manager = QueueManager([Demo], repository=PostgresRepository(Database(jobs_url)), queues=queues)
        with manager.blocking() as jobs:
            handle = jobs.queue_job(Demo, Ask(), user_id="ann", idempotency_key="k")
            assert (handle.sent, handle.duplicate) == (True, False)
            assert jobs.queue_job(Demo, Ask(), user_id="ann", idempotency_key="k").duplicate
            batch = jobs.queue_jobs(
                Demo, [Ask(n=1), Ask(n=2)], user_id="ann", follow_up=FollowUp(runner=Demo, request=Ask())
            )
            with pytest.raises(TimeoutError):
                handle.result(timeout=NOW)
            run_all(jobs, manager, queues)
            assert handle.result(timeout=NOW) == Answer(text="done")
            assert [one.result(timeout=NOW) for one in batch.handles] == [Answer(text="done")] * 2
            run_all(jobs, manager, queues)
            assert batch.follow_up is not None
            assert batch.follow_up.result(timeout=NOW) == Answer(text="done")
            cancelled = jobs.queue_job(Demo, Ask(), user_id="ann")
            jobs.call(manager.tracker.cancel, cancelled.id, user_id=ANY_USER)
            with pytest.raises(JobFailed) as caught:
                cancelled.result(timeout=NOW)
            assert caught.value.status is JobStatus.CANCELLED
            assert len(jobs.call(manager.tracker.for_user, "ann").jobs) == 5

    def test_errors_are_raised_as_they_are(self, jobs: BlockingJobs) -> None:
        with pytest.raises(InvalidRequest):
            jobs.queue_job(Demo, Ask(), user_id="")

    def test_a_message_reaches_the_real_queue(self, jobs_url: str, azurite: AzuriteServer) -> None:
        queues = StorageQueues(azurite.connection_string)
        manager = QueueManager([Demo], repository=PostgresRepository(Database(jobs_url)), queues=queues)
        with manager.blocking() as jobs:
            jobs.call(queues.ensure, Demo.queue)
            before = jobs.call(queues.depths, Demo.queue)[0].messages
            assert jobs.queue_job(Demo, Ask(), user_id="ann").sent
            assert jobs.call(queues.depths, Demo.queue)[0].messages == before + 1

    def test_the_end_of_the_block_waits_for_the_pushes(self, jobs_url: str) -> None:
        notifier = SlowNotifier()
        manager = QueueManager(
            [Demo], repository=PostgresRepository(Database(jobs_url)), queues=FakeQueues(), notifier=notifier
        )
        with manager.blocking() as jobs:
            ids = {str(start(jobs, number)) for number in range(20)}
        assert notifier.pushed == ids

    def test_over_the_store_in_memory_it_is_the_same(self) -> None:
        bench = JobBench(Demo)
        with bench.manager.blocking() as jobs:
            handle = jobs.queue_job(Demo, Ask(), user_id="ann")
            jobs.call(bench.drain)
            assert handle.result(timeout=NOW) == Answer(text="done")


class TestEnds:
    def test_after_the_block_each_call_is_an_error(self, manager: QueueManager) -> None:
        with manager.blocking() as jobs:
            handle = jobs.queue_job(Demo, Ask(), user_id="ann")
        for call in (lambda: start(jobs), lambda: handle.result(timeout=NOW)):
            with pytest.raises(RuntimeError, match="closed"):
                call()
        jobs.close()

    def test_one_that_was_never_used_starts_nothing(self, manager: QueueManager) -> None:
        threads = threading.active_count()
        with manager.blocking():
            assert threading.active_count() == threads

    def test_in_the_portals_own_thread_it_is_an_error_and_no_deadlock(self, jobs: BlockingJobs) -> None:
        async def calls_back() -> None:
            start(jobs)

        with pytest.raises(RuntimeError, match="event loop thread"):
            jobs.call(calls_back)

    def test_the_first_calls_of_many_threads_start_one_thread(self, jobs: BlockingJobs) -> None:
        together = threading.Barrier(THREADS)

        def first(number: int) -> Any:
            together.wait()
            start(jobs, number)
            return next(each.ident for each in threading.enumerate() if each.name == "queued-jobs")

        with ThreadPoolExecutor(THREADS) as threads:
            assert len(set(threads.map(first, range(THREADS)))) == 1
        assert [each.name for each in threading.enumerate()].count("queued-jobs") == 1


FORKS = """
import os, sys
from datetime import timedelta
from pydantic import BaseModel
from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.database import Database
from queued_jobs.notifier import NullNotifier
from queued_jobs.postgres import PostgresRepository
from queued_jobs.testing import FakeQueues

class Ask(BaseModel):
    n: int = 1

class Demo(JobRunner[Ask, None]):
    kind = "demo"
    queue = "demo"
    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        return None

manager = QueueManager([Demo], repository=PostgresRepository(Database(os.environ["DATABASE_URL"])), queues=FakeQueues())
unused, jobs = manager.blocking(), manager.blocking()
jobs.queue_job(Demo, Ask(), user_id="parent")
child = os.fork()
if child == 0:
    try:
        jobs.queue_job(Demo, Ask(), user_id="lost")
    except RuntimeError as exc:
        print("refused:", "forked" in str(exc), flush=True)
    jobs.close()
    for each in (unused, manager.blocking()):
        each.queue_job(Demo, Ask(), user_id="child")
    print("child", flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
jobs.queue_job(Demo, Ask(), user_id="parent")
print("parent", flush=True)
"""


def test_after_a_fork_the_parent_goes_on_and_the_child_is_told_to_open_its_own(jobs_url: str, shop: Any) -> None:
    """Neither closes anything, and both end all the same: a hanging thread would keep the interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        env=os.environ | {"DATABASE_URL": jobs_url, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split("\n")) == (0, ["refused: True", "child", "parent", ""]), done.stderr
    with psycopg.connect(jobs_url) as conn:
        owners = conn.execute("select user_id, count(*) from queued_jobs.job group by 1 order by 1").fetchall()
    assert owners == [("child", 2), ("parent", 2)]


def test_an_interrupt_cancels_the_call(jobs: BlockingJobs) -> None:
    begun, noticed, cancelled = threading.Event(), threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    def interrupt(number: int, frame: object) -> None:
        if not noticed.is_set():
            noticed.set()
            raise KeyboardInterrupt

    def press() -> None:
        begun.wait()
        # One that arrives just before the main thread begins to wait for the result is noticed only with the next.
        while not noticed.wait(0.1):
            os.kill(os.getpid(), signal.SIGINT)

    presses = threading.Thread(target=press)
    presses.start()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            jobs.call(waits)
        presses.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert cancelled.wait(60)
