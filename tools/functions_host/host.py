"""The host: starts the listeners and the HTTP server of one app, and drains them on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import uvicorn

from tools.functions_host import debugger
from tools.functions_host.errors import HostError, WorkerEnded
from tools.functions_host.functions import QUEUE_TRIGGER, TIMER_TRIGGER, read_functions
from tools.functions_host.http import HttpFrontEnd
from tools.functions_host.invoke import CANCEL_GRACE, Invoker
from tools.functions_host.queues import LEASE, QueueListener
from tools.functions_host.settings import apply_local_settings, load_host_settings
from tools.functions_host.storage import QueueStorage
from tools.functions_host.timers import TimerListener
from tools.functions_host.turn import LOADED, TURN
from tools.functions_host.worker import Worker
from tools.local_server import LoopbackNames, PatientProtocol

log = logging.getLogger("host")

LOOPBACK = "127.0.0.1"
DRAIN = timedelta(seconds=5)
_BACKLOG = 2048
_FLUSH = timedelta(seconds=0.5)


class Host:
    """One function app at `http://address:port`; a `lease` other than the real host's ten minutes is for tests.

    With `in_turn` it imports the app at once, and serves it after the signal `TURN`; until then the previous host does.
    """

    def __init__(
        self,
        app_dir: Path,
        *,
        port: int,
        address: str = LOOPBACK,
        drain: timedelta = DRAIN,
        lease: timedelta = LEASE,
        in_turn: bool = False,
        debug_port: int | None = None,
    ) -> None:
        self._app_dir = app_dir.resolve()
        self._address = address
        self._port = port
        self._drain = drain
        self._lease = lease
        self._in_turn = in_turn
        self._debug_port = debug_port
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Have the worker index the app, serve until SIGTERM or SIGINT, then drain.

        Raises HostError if the app cannot be started, and WorkerEnded, after the drain, where a function ends the
        worker: the real host starts another one, this one ends.

        Draining means: no more polling and no new connections, running invocations may end until the deadline, then
        they are cancelled and get a short grace to clean up. A second signal ends the process immediately.
        """
        apply_local_settings(self._app_dir)
        settings = load_host_settings(self._app_dir)
        worker = Worker()
        indexed = await worker.start(self._app_dir)
        if not indexed:
            raise HostError(f"the worker found no functions in {self._app_dir}; add some to its function_app.py")
        functions = read_functions(indexed)
        if self._in_turn:
            await _wait_for_turn()
        storage = QueueStorage(base64_messages=settings.queues.base64)
        invoker = Invoker(worker, timeout=settings.function_timeout, write_output=storage.write_output)
        front_end = HttpFrontEnd(functions, route_prefix=settings.route_prefix, invoker=invoker)
        listeners = [
            QueueListener(f, storage=storage, settings=settings.queues, invoker=invoker, lease=self._lease)
            for f in functions
            if f.trigger_type == QUEUE_TRIGGER
        ]
        timers = [TimerListener(f, invoker=invoker) for f in functions if f.trigger_type == TIMER_TRIGGER]
        listening = self._listen()
        server = _Server(server_config(front_end, is_local=self._address == LOOPBACK))
        self._catch_signals()
        serving = _named("HTTP server", server.serve(sockets=[listening]))
        work = [
            *(_named(f"listener of queue {listener.name}", listener.run(self._stopping)) for listener in listeners),
            *(_named(f"timer {timer.name}", timer.run(self._stopping)) for timer in timers),
        ]
        if self._debug_port is not None:
            work.append(_named("debugger", debugger.listen(LOOPBACK, self._debug_port, self._stopping)))
        ended = asyncio.create_task(self._end(invoker.worker_ended))
        await self._first_of(asyncio.create_task(server.ready.wait()), serving, *work)
        names = ", ".join(function.name for function in functions) or "none"
        print(f"{worker.name} runs the functions, in an emulator of the host", flush=True)
        print(f"host ready on http://{self._address}:{listening.getsockname()[1]}, functions: {names}", flush=True)
        await self._first_of(ended, serving, *work)
        seconds = self._drain.total_seconds()
        log.info("stopping: accepting no new work, waiting up to %g s for running invocations", seconds)
        server.should_exit = True
        await self._drained({*work, _named("invocations", invoker.wait_until_idle())}, invoker)
        # responses are being sent; do not wait for a client that never completes its request
        await asyncio.wait({serving, _named("storage clients", storage.close())}, timeout=_FLUSH.total_seconds())
        log.info("stopped")
        if invoker.worker_ended.is_set():
            raise WorkerEnded("a function ended the worker; Azure would restart it, this host ends too")

    async def _end(self, worker_ended: asyncio.Event) -> None:
        """Wait for the end: a signal, or a function that has ended the worker."""
        ends = [asyncio.create_task(event.wait()) for event in (self._stopping, worker_ended)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()

    async def _first_of(self, expected: asyncio.Task[Any], *work: asyncio.Task[None]) -> None:
        """Wait for the expected task; raises HostError if a task that should run until the stop has ended."""
        await asyncio.wait({expected, *work}, return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            if task.done() and (task.exception() or not self._stopping.is_set()):
                raise HostError(
                    f"{task.get_name()} ended unexpectedly, which is a bug in the host"
                ) from task.exception()

    async def _drained(self, work: set[asyncio.Task[None]], invoker: Invoker) -> None:
        _, pending = await asyncio.wait(work, timeout=self._drain.total_seconds())
        if pending:
            log.warning("the drain deadline has passed: cancelling %d running invocations", invoker.cancel_running())
            await asyncio.wait(pending, timeout=CANCEL_GRACE.total_seconds())
        for task in work:
            if not task.done():
                log.warning("%s: still running, abandoned", task.get_name())
            elif error := task.exception():
                log.error("%s: failed while being stopped", task.get_name(), exc_info=error)

    def _listen(self) -> socket.socket:
        # asyncio disables Nagle's algorithm only if the protocol is named; with it a response takes 40 ms longer
        listening = socket.socket(proto=socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._address, self._port))
            listening.listen(_BACKLOG)
        except (OSError, OverflowError) as error:
            listening.close()
            reason = getattr(error, "strerror", None) or error
            raise HostError(
                f"cannot listen on {self._address}:{self._port} ({reason}); choose another --port"
            ) from None
        return listening

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            log.warning("second signal: ending immediately")
            leave(128 + number)
        self._stopping.set()


async def _wait_for_turn() -> None:
    turn = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(TURN, turn.set)
    print(LOADED, flush=True)
    await turn.wait()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the host has its own handlers


def leave(code: int) -> NoReturn:
    """End the process now: the interpreter's normal exit would wait for all threads."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


def server_config(front_end: HttpFrontEnd, *, is_local: bool) -> uvicorn.Config:
    return uvicorn.Config(
        LoopbackNames(front_end) if is_local else front_end,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
    )


def _named(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.create_task(work, name=name)
