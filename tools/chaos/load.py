"""Asks for jobs of every sort, over HTTP and through the library, and insists until each of them is accepted."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any

import httpx

from queued_jobs import QueueManager
from queued_jobs.batch import FollowUp
from queued_jobs.database import Database
from queued_jobs.errors import JobsError
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from tools.chaos.asked import Asked, Call, How, Ledger
from tools.chaos.bells import Bell
from tools.chaos.jobs import attacked
from tools.chaos.jobs.attacked import Ask, FollowingUp, Keyed, Mode
from tools.chaos.world import World

_USERS, _LINES, _MEMBERS = 4, 6, 8
_PAUSE = 0.5
_IN_FLIGHT = 24
#: The shares of the sorts of jobs, and the longest time that a body takes, in milliseconds.
_MIX: tuple[tuple[float, How, type[Any], Mode, int], ...] = (
    (0.18, "http", attacked.Coroutine, "plain", 600),
    (0.08, "http", attacked.Thread, "plain", 600),
    (0.06, "http", Keyed, "plain", 300),
    (0.20, "library", attacked.Coroutine, "plain", 900),
    (0.10, "library", attacked.Thread, "plain", 900),
    (0.04, "library", attacked.Thread, "file", 300),
    (0.07, "library", attacked.Coroutine, "progress", 2500),
    (0.08, "library", attacked.Coroutine, "own-transaction", 400),
    (0.06, "library", attacked.Coroutine, "fails-first", 200),
    (0.02, "library", attacked.Thread, "fails", 0),
    (0.06, "transaction", attacked.Coroutine, "plain", 200),
    (0.05, "batch", attacked.Coroutine, "plain", 400),
)


class Load:
    """A thread with an event loop, in which users ask for jobs and follow them in their bells.

    Parameters
    ----------
    seed
        Decides which jobs are started, in which order.
    """

    def __init__(self, world: World, *, seed: int) -> None:
        self.ledger = Ledger()
        self.bells: list[Bell] = []
        self._world = world
        self._random = random.Random(seed)  # noqa: S311 (repeatable, not secret)
        self._numbers = iter(range(1, 10**9))
        self._stop = Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="load", daemon=True)

    def start(self) -> None:
        """Sign the users in, and connect their bells."""
        self._thread.start()
        self.call(self._sign_in())

    def ask(self, jobs: int, *, within: float) -> Future[None]:
        """Begin to ask for that many jobs, evenly distributed over the seconds; returns at once."""
        return asyncio.run_coroutine_threadsafe(self._ask(jobs, within), self._loop)

    def call[T](self, coroutine: Coroutine[Any, Any, T], timeout: float = 120) -> T:
        """Run a coroutine in the thread and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def stop(self) -> None:
        """Ask for nothing more, disconnect the bells, and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self.call(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    async def _sign_in(self) -> None:
        settings = self._world.settings()
        self._database = Database(settings["DATABASE_URL"], transaction_pooler=self._world.pooler is not None)
        self._queues = StorageQueues(settings["QueuesConn"])
        kinds = (attacked.Coroutine, attacked.Thread, Keyed, FollowingUp)
        self._manager = QueueManager(kinds, repository=PostgresRepository(self._database), queues=self._queues)
        self._http = httpx.AsyncClient(trust_env=False, timeout=20)
        for _ in range(_USERS):
            url = f"{self._world.page_url}api/session"
            session = (await self._http.post(url, json={"invite": self._world.invite})).raise_for_status().json()
            bell = Bell(session["user"]["id"], session["token"], self._world)
            bell.start()
            self.bells.append(bell)

    async def _close(self) -> None:
        await asyncio.gather(*(bell.stop() for bell in self.bells))
        await self._http.aclose()
        await self._database.close()
        await self._queues.close()

    async def _ask(self, jobs: int, within: float) -> None:
        began, asked = time.monotonic(), 0
        running: set[asyncio.Task[None]] = set()
        while asked < jobs and not self._stop.is_set():
            count, work = self._choose()
            asked += count
            task = asyncio.create_task(work)
            running.add(task)
            task.add_done_callback(running.discard)
            if self._random.random() < 0.05:
                await self._cancel_one()
            await asyncio.sleep(max(0.0, began + within * asked / jobs - time.monotonic()))
            while len(running) > _IN_FLIGHT:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*running)

    def _choose(self) -> tuple[int, Coroutine[Any, Any, None]]:
        (sort,) = self._random.choices(_MIX, [sort[0] for sort in _MIX])
        _, how, kind, mode, longest = sort
        request = Ask(number=next(self._numbers), mode=mode, milliseconds=self._random.randint(0, longest))
        if kind is Keyed:
            request = request.model_copy(update={"key": f"line-{self._random.randrange(_LINES)}"})
        bell = self._random.choice(self.bells)
        if how == "batch":
            return _MEMBERS + 1, self._batch(bell)
        one = self._note(request, kind, how, bell.user_id)
        if how == "http":
            return 1, self._insist(one, lambda: self._post(one, request, bell))
        if how == "transaction":
            one.is_rolled_back = self._random.random() < 0.3
            return 1, self._insist(one, lambda: self._in_transaction(one, request, kind))
        priority = "high" if kind is attacked.Coroutine and self._random.random() < 0.2 else None
        return 1, self._insist(one, lambda: self._queue(one, request, kind, priority))

    def _note(self, request: Ask, kind: type[Any], how: How, user_id: str, key: str = "") -> Asked:
        one = Asked(
            number=request.number,
            kind=kind.kind,
            mode=request.mode,
            how=how,
            user_id=user_id,
            idempotency_key=key or str(uuid.UUID(int=self._random.getrandbits(128))),
            line=request.key,
        )
        self.ledger.asked.append(one)
        return one

    async def _insist(self, one: Asked, attempt: Callable[[], Awaitable[str | None]]) -> None:
        """Try until the job is accepted, or rolled back, or the run ends. The key makes a repetition harmless."""
        while not self._stop.is_set():
            try:
                one.id = await attempt()
            except (JobsError, httpx.HTTPError):
                await asyncio.sleep(_PAUSE)
                continue
            one.accepted_at = time.time()
            return

    async def _post(self, one: Asked, request: Ask, bell: Bell) -> str:
        host = self._random.choice(self._world.hosts)
        headers = {"Authorization": f"Bearer {bell.token}", "Idempotency-Key": one.idempotency_key}
        url, body = f"{host.page_url}api/jobs/{one.kind}", request.model_dump(exclude_defaults=True)
        at, status = time.time(), 0
        try:
            response = await self._http.post(url, json=body, headers=headers)
            status = response.status_code
        finally:
            self.ledger.calls.append(Call(at=at, seconds=time.time() - at, status=status))
        key: str = response.raise_for_status().json()["id"]
        return key

    async def _queue(self, one: Asked, request: Ask, kind: type[Any], priority: str | None) -> str:
        handle = await self._manager.queue_job(
            kind, request, user_id=one.user_id, priority=priority, idempotency_key=one.idempotency_key
        )
        return str(handle.id)

    async def _in_transaction(self, one: Asked, request: Ask, kind: type[Any]) -> str | None:
        """Enqueue in a transaction that commits or is rolled back; its message is sent, or left for the sweeper."""
        try:
            async with self._database.transaction() as conn:
                handle = await self._manager.queue_job(
                    kind, request, user_id=one.user_id, idempotency_key=one.idempotency_key, conn=conn
                )
                if one.is_rolled_back:
                    raise _RollBack
        except _RollBack:
            return None
        if one.number % 2:
            await handle.send()
        return str(handle.id)

    async def _batch(self, bell: Bell) -> None:
        requests = [Ask(number=next(self._numbers), milliseconds=self._random.randint(0, 400)) for _ in range(_MEMBERS)]
        last = Ask(number=next(self._numbers))
        key = str(uuid.UUID(int=self._random.getrandbits(128)))
        members = [
            self._note(request, attacked.Coroutine, "batch", bell.user_id, f"{key}/{number}")
            for number, request in enumerate(requests)
        ]
        follow_up = self._note(last, FollowingUp, "follow-up", bell.user_id, f"{key}/then")
        follow_up.members = len(members)

        async def attempt() -> str | None:
            made = await self._manager.queue_jobs(
                attacked.Coroutine,
                requests,
                user_id=bell.user_id,
                idempotency_key=key,
                follow_up=FollowUp(runner=FollowingUp, request=last),
            )
            for one, handle in zip(members, made.handles, strict=True):
                one.id, one.accepted_at = str(handle.id), time.time()
            return str(made.follow_up.id) if made.follow_up else None

        await self._insist(follow_up, attempt)

    async def _cancel_one(self) -> None:
        """Cancel a recent job, whether or not it has ended."""
        recent = [one for one in self.ledger.asked[-40:] if one.id and one.how in ("http", "library")]
        if not recent:
            return
        one = self._random.choice(recent)
        one.is_cancelled = True
        token = next(bell.token for bell in self.bells if bell.user_id == one.user_id)
        host = self._random.choice(self._world.hosts)
        try:
            await self._http.post(
                f"{host.page_url}api/jobs/{one.id}/cancel", headers={"Authorization": f"Bearer {token}"}, timeout=5
            )
        except httpx.HTTPError:
            return


class _RollBack(Exception):
    """Rolls the transaction back."""
