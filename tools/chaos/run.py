"""One run: start the system, ask for jobs while faults are inflicted, heal, wait until every job has ended, audit."""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

import psycopg

from tools.chaos.audit import Audit, audit
from tools.chaos.constants import VISIBILITY
from tools.chaos.fault import Fault, Inflicted
from tools.chaos.faults import Attack, NoTarget
from tools.chaos.leftovers import count_messages
from tools.chaos.load import Load
from tools.chaos.schedule import Plan
from tools.chaos.world import World, send_signal
from tools.local_stack.errors import Interrupted

#: How long jobs may take to end once all faults have ended; more with a backlog.
ENDS_WITHIN, ENDS_WITHIN_PER_JOB = 180.0, 0.05
_LOOK_EVERY = 0.05
#: Seconds for which a fault waits for a process that runs a job, and for which it does if no job waits either.
_AIM_WITHIN, _AIM_WITHIN_IF_IDLE, _AIM_EVERY = 10.0, 1.5, 0.1
_DATABASE_EVERY = 1.0

Show = Callable[["State"], None]


@dataclass(slots=True)
class State:
    """What the live view shows."""

    started: float = field(default_factory=time.time)
    phase: str = "starting"
    accepted: int = 0
    ended: int = 0
    running: int = 0
    kills: int = 0
    hits: int = 0
    current: dict[int, Fault] = field(default_factory=dict)
    #: Seconds since the first job, how many were accepted, how many had ended.
    progress: list[tuple[float, int, int]] = field(default_factory=list)
    inflicted: list[Inflicted] = field(default_factory=list)


def run(plan: Plan, folder: Path, *, show: Show, stop: Event, logs: Path | None = None) -> Audit:
    """Run the plan in a new folder and return the audit. Raises `Interrupted` if `stop` is set.

    The output of all processes is written to the folder `logs`.
    """
    world = World(folder, processes=plan.processes, replica=plan.replica, pooler=plan.pooler)
    load = Load(world, seed=plan.seed)
    state = State()
    try:
        world.start_all()
        load.start()
        return _Run(plan, world, load, state, show, stop).run()
    finally:
        load.stop()
        world.stop_all()
        if logs is not None:
            world.write_logs(logs)


class _Clock:
    """Seconds since the first job, less the time by which the faults are late: so they keep their distances."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def let_slip(self, planned: float) -> None:
        """Note that what was planned for this time happens only now."""
        self._began += max(0.0, self.now - planned - _LOOK_EVERY)


class _Run:
    def __init__(self, plan: Plan, world: World, load: Load, state: State, show: Show, stop: Event) -> None:
        self._plan = plan
        self._world = world
        self._load = load
        self._state = state
        self._show = show
        self._stop = stop
        self._attack = Attack(world)
        self._next_look = 0.0

    def run(self) -> Audit:
        state = self._state
        state.started, state.phase = time.time(), "attacked"
        asking = self._load.ask(self._plan.jobs, within=self._plan.seconds)
        self._inflict()
        state.phase = "healing"
        self._heal()
        state.phase = "ending"
        self._look(force=True)
        within = ENDS_WITHIN + ENDS_WITHIN_PER_JOB * self._plan.jobs
        self._wait_until(lambda: asking.done() and state.ended >= state.accepted > 0, within)
        ended_at = time.time()
        # a message of a killed host stays hidden until its visibility ends
        self._wait_until(lambda: not self._messages(), 3 * VISIBILITY.total_seconds() + 6)
        state.phase = "auditing"
        self._look(force=True)
        return audit(
            self._plan,
            self._world,
            self._load,
            self._attack.kills,
            began=state.started,
            ended=ended_at,
            progress=state.progress,
            inflicted=state.inflicted,
        )

    def _inflict(self) -> None:
        """Inflict each fault at its time and heal it at its time. On a slow machine the schedule is stretched."""
        clock, numbers = _Clock(), itertools.count()
        due: list[tuple[float, int, Callable[[], None]]] = []

        def at(moment: float, action: Callable[[], None]) -> None:
            heapq.heappush(due, (moment, next(numbers), action))

        def inflict(fault: Fault, number: int, since: float) -> None:
            hurt_at = clock.now
            try:
                heal = self._attack.inflict(fault)
            except NoTarget:
                waited = hurt_at - since
                if waited < _AIM_WITHIN_IF_IDLE or (waited < _AIM_WITHIN and self._attack.has_work()):
                    at(hurt_at + _AIM_EVERY, partial(inflict, fault, number, since))
                return
            self._state.current[number] = fault
            began = time.time() - self._state.started

            def end() -> None:
                heal()
                self._state.current.pop(number, None)
                self._state.inflicted.append(
                    Inflicted(fault=fault, began=round(began, 2), ended=round(time.time() - self._state.started, 2))
                )

            at(hurt_at + fault.lasts, end)

        for number, fault in enumerate(self._plan.faults):
            at(fault.at, partial(inflict, fault, number, fault.at))
        while due:
            moment, _, action = due[0]
            if clock.now < moment:
                self._pause(max(0.0, min(_LOOK_EVERY, moment - clock.now)))
                continue
            clock.let_slip(moment)
            heapq.heappop(due)
            action()
            self._look()
        self._wait_until(lambda: clock.now >= self._plan.seconds, self._plan.seconds)

    def _heal(self) -> None:
        """Let everything run again."""
        self._attack.heal_network()
        for server in self._world.everything:
            send_signal(server, signal.SIGCONT)
            if server.exit_code is not None:
                server.kill()
            if server.pid is None:
                server.spawn()
        for server in self._world.everything:
            server.wait_until_ready(self._stop)

    def _wait_until(self, holds: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            self._pause(_LOOK_EVERY)
        return True

    def _pause(self, seconds: float) -> None:
        self._look()
        if self._stop.wait(max(0.0, seconds)):
            raise Interrupted

    def _look(self, *, force: bool = False) -> None:
        """Count jobs once a second, and show them."""
        if time.monotonic() < self._next_look and not force:
            return
        self._next_look = time.monotonic() + _DATABASE_EVERY
        state = self._state
        state.accepted = len(self._load.ledger.accepted)
        state.kills = len(self._attack.kills)
        state.hits = sum(kill.running > 0 for kill in self._attack.kills)
        try:
            with self._world.database() as conn:
                row = conn.execute(
                    "select count(*) filter (where finished_at is not null)::int, "
                    "count(*) filter (where status = 'running')::int, count(*)::int from queued_jobs.job"
                ).fetchone()
        except psycopg.Error:
            row = None
        if row is not None:
            ended, running, total = row
            state.ended, state.running = int(str(ended)), int(str(running))
            state.accepted = max(state.accepted, int(str(total)))
        state.progress.append((round(time.time() - state.started, 1), state.accepted, state.ended))
        self._show(state)

    def _messages(self) -> int:
        return sum(count_messages(self._world).values())
