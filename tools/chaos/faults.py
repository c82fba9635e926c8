"""The faults, each a function that hurts the system from outside and returns what heals it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from azure.core.exceptions import AzureError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from queued_jobs.message import JobMessage
from tools.chaos.fault import NETWORKS, Fault, Kill
from tools.chaos.jobs.attacked import Coroutine
from tools.chaos.servers import Attacked, crash
from tools.chaos.world import World, send_signal
from tools.local_stack.proxy import WELL

Heal = Callable[[], None]
_COPIES = 100


class NoTarget(Exception):
    """No process runs a job at this moment."""


class Attack:
    """Inflicts faults on a world, and remembers what was killed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kills: list[Kill] = []

    def inflict(self, fault: Fault) -> Heal:
        """Hurt, and return what heals. Raises `NoTarget` if the fault needs a process that runs a job."""
        return _FAULTS[fault.name](self, fault)

    def heal_network(self) -> None:
        for proxy in self.world.proxies.values():
            proxy.refuse(False)
            proxy.set(WELL, established=False)

    def kill(self, fault: Fault) -> Heal:
        """SIGKILL, and a new process after a while."""
        process, running = self._aim(fault)
        self._note(process, running)
        process.kill()
        return lambda: _start(process)

    def drain(self, fault: Fault) -> Heal:
        """SIGTERM, and SIGKILL if it has not ended soon after the time that it may drain: a scale-in."""
        process, _ = self._aim(fault)
        send_signal(process, signal.SIGTERM)

        def end() -> None:
            process.kill()
            _start(process)

        return end

    def freeze(self, fault: Fault) -> Heal:
        """SIGSTOP beyond the lease, then SIGCONT: a zombie that continues a job which it has lost."""
        process, running = self._aim(fault)
        self._note(process, running)
        pid = process.pid
        send_signal(process, signal.SIGSTOP)

        def wake() -> None:
            if process.pid == pid:
                send_signal(process, signal.SIGCONT)

        return wake

    def restart_database(self, fault: Fault) -> Heal:
        """An immediate shutdown, as in a crash: Postgres recovers from its log when it is started again."""
        crash(self.world.primary)
        return self.world.primary.spawn

    def fail_over(self, fault: Fault) -> Heal:
        self.world.fail_over()
        return _nothing

    def take_connections(self, fault: Fault) -> Heal:
        """Take every connection that the server has left."""
        held: list[psycopg.Connection[Any]] = []
        with suppress(psycopg.OperationalError):
            while len(held) < 200:
                held.append(psycopg.connect(self.world.direct_url, connect_timeout=3))

        def release() -> None:
            for conn in held:
                conn.close()

        return release

    def lock_table(self, fault: Fault) -> Heal:
        """Lock the table of jobs as a careless migration would."""
        with suppress(psycopg.Error):
            conn = psycopg.connect(self.world.direct_url, connect_timeout=3, options="-c lock_timeout=3s")
            conn.execute("lock table queued_jobs.job in access exclusive mode")
            return conn.close
        return _nothing

    def restart_pooler(self, fault: Fault) -> Heal:
        if self.world.pooler is None:
            raise RuntimeError("this world has no pooler")
        self.world.pooler.kill()
        return self.world.pooler.spawn

    def hurt_network(self, fault: Fault) -> Heal:
        proxy = self.world.proxies[fault.service]
        if fault.mode == "refuse":
            proxy.refuse()
            proxy.cut()
        elif fault.mode == "reset":
            proxy.cut(reset=True)
        else:
            proxy.set(NETWORKS[fault.mode])

        def heal() -> None:
            proxy.refuse(False)
            proxy.set(WELL)

        return heal

    def freeze_storage(self, fault: Fault) -> Heal:
        send_signal(self.world.azurite, signal.SIGSTOP)
        return lambda: send_signal(self.world.azurite, signal.SIGCONT)

    def restart_hub(self, fault: Fault) -> Heal:
        self.world.hub.kill()
        return self.world.hub.spawn

    def copy_messages(self, fault: Fault) -> Heal:
        """Send the messages of waiting and running jobs once more."""
        with suppress(psycopg.Error, AzureError), self.world.database() as conn, self._queue() as queue:
            rows: list[tuple[Any, ...]] = conn.execute(
                "select id, dispatch_gen from queued_jobs.job where queue = %s order by created_at desc limit %s",
                (Coroutine.queue, _COPIES),
            ).fetchall()
            for key, gen in rows:
                queue.send_message(JobMessage(id=key, gen=gen).encode(), time_to_live=-1)
        return _nothing

    def send_garbage(self, fault: Fault) -> Heal:
        with suppress(AzureError), self._queue() as queue:
            for text in ("", "{}", "[" * 5_000, '{"v":1,"id":"x","gen":"y"}', '{"v":1,"id":"' + "0" * 40_000):
                queue.send_message(text)
        return _nothing

    def lose_messages(self, fault: Fault) -> Heal:
        """Clear a queue, as an operator might, or as an expired message would."""
        with suppress(AzureError), self._queue() as queue:
            queue.clear_messages()
        return _nothing

    def delete_queue(self, fault: Fault) -> Heal:
        with suppress(AzureError), self._queue() as queue:
            queue.delete_queue()
        return _nothing

    def _queue(self) -> QueueClient:
        account = self.world.azurite.connection_string
        policy = TextBase64EncodePolicy()
        return QueueClient.from_connection_string(
            account, Coroutine.queue, message_encode_policy=policy, connection_timeout=2, read_timeout=5, retry_total=0
        )

    def _aim(self, fault: Fault) -> tuple[Attacked, int]:
        """Choose a process that runs a job now, with the number of its jobs. Raises `NoTarget`."""
        busy = self._running()
        alive = [process for process in self.world.processes if process.pid and process.exit_code is None]
        hit = [process for process in alive if busy.get(process.pid or 0)]
        if not hit:
            raise NoTarget
        process = hit[fault.choice % len(hit)]
        return process, busy[process.pid or 0]

    def has_work(self) -> bool:
        """Return whether there are jobs that have not ended."""
        return bool(self._read("select 1, 1 from queued_jobs.job where finished_at is null limit 1"))

    def _running(self) -> dict[int, int]:
        """Return how many jobs each process holds, by its id. Frozen ones may hold jobs whose leases have ended."""
        rows = self._read(
            "select split_part(worker_id, ':', 2)::int, count(*)::int from queued_jobs.job "
            "where status = 'running' and lease_until > clock_timestamp() group by 1"
        )
        return dict(rows)

    def _read(self, query: LiteralString) -> list[tuple[Any, Any]]:
        """Run a query, without rows if the database is ill."""
        try:
            with self.world.database() as conn:
                rows: list[Any] = conn.execute(query).fetchall()
        except psycopg.Error:
            return []
        return rows

    def _note(self, process: Attacked, running: int) -> None:
        self.kills.append(Kill(at=time.time(), pid=process.pid or 0, process=process.name, running=running))


def _start(process: Attacked) -> None:
    if process.pid is None:
        process.spawn()


def _nothing() -> None:
    """There is nothing to heal."""


_FAULTS: dict[str, Callable[[Attack, Fault], Heal]] = {
    "kill": Attack.kill,
    "drain": Attack.drain,
    "freeze": Attack.freeze,
    "database-restart": Attack.restart_database,
    "database-failover": Attack.fail_over,
    "database-connections": Attack.take_connections,
    "database-lock": Attack.lock_table,
    "pooler-restart": Attack.restart_pooler,
    "network": Attack.hurt_network,
    "storage-freeze": Attack.freeze_storage,
    "hub-restart": Attack.restart_hub,
    "copies": Attack.copy_messages,
    "garbage": Attack.send_garbage,
    "lost-messages": Attack.lose_messages,
    "deleted-queue": Attack.delete_queue,
}
NAMES = tuple(_FAULTS)
