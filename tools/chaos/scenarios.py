"""The named scenarios: one fault, or a few, in the middle of a small load."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.chaos.constants import DRAIN, LEASE
from tools.chaos.fault import Fault
from tools.chaos.schedule import Plan, mixed

MIXED = "mixed"
#: Jobs, seconds and processes of a scenario, unless the command line says otherwise.
JOBS, SECONDS, PROCESSES = 150, 12.0, 3
#: Of the mixed run: jobs asked for per second, and seconds between two kills.
JOBS_PER_SECOND, KILL_EVERY = 25.0, 1.5
#: However long a run takes, it kills, stops and freezes about this many processes.
_MAX_KILLS = 60
_MIN_SECONDS = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Faults, and the promise that they try.

    Attributes
    ----------
    seconds
        How long jobs are started.
    """

    promise: str
    faults: tuple[Fault, ...]
    seconds: float = SECONDS
    replica: bool = False
    pooler: bool = False


def _once(name: str, lasts: float = 0.0, *, at: float = 3.0, service: str = "", mode: str = "") -> tuple[Fault, ...]:
    return (Fault(at=at, name=name, lasts=lasts, service=service, mode=mode),)


def _network(service: str, mode: str, lasts: float, promise: str) -> Scenario:
    return Scenario(promise=promise, faults=_once("network", lasts, service=service, mode=mode))


_KILLS = tuple(Fault(at=2.0 + 1.5 * number, name="kill", lasts=0.2, choice=number) for number in range(6))
_DRAINS = tuple(
    Fault(at=2.0 + 4.0 * number, name="drain", lasts=DRAIN.total_seconds() + 1, choice=number) for number in range(3)
)
_ACCEPTED = "every request is accepted, and each job runs when the queue is back"
_REFUSED = "requests are refused within five seconds with status 503, or accepted for good; no job runs twice"

SCENARIOS: dict[str, Scenario] = {
    "kill": Scenario(promise="a killed worker's jobs run again after lease and sweep", faults=_KILLS),
    "scale-in": Scenario(promise="a stopped worker gives its jobs back, uncounted", faults=_DRAINS),
    "freeze": Scenario(
        promise="a zombie stores nothing, and removes nothing of the winner",
        faults=_once("freeze", 1.6 * LEASE.total_seconds()),
        seconds=14.0,
    ),
    "database-restart": Scenario(
        promise="an immediate restart loses nothing that was accepted",
        faults=tuple(Fault(at=2.0 + 3.0 * number, name="database-restart", lasts=0.5) for number in range(3)),
    ),
    "database-failover": Scenario(
        promise="the promoted replica has everything that was accepted", faults=_once("database-failover"), replica=True
    ),
    "database-connections": Scenario(promise=_REFUSED, faults=_once("database-connections", 5.0)),
    "database-lock": Scenario(promise=_REFUSED, faults=_once("database-lock", 6.0)),
    "database-refuses": _network("database", "refuse", 4.0, _REFUSED),
    "database-black-hole": _network("database", "black-hole", 4.0, _REFUSED),
    "database-half-open": _network("database", "half-open", 4.0, _REFUSED),
    "database-no-answers": _network("database", "no-answers", 3.0, "a commit whose reply is lost counts once"),
    "database-cut": _network("database", "cut", 4.0, "a commit whose reply is cut off counts once"),
    "pooler-restart": Scenario(
        promise="a pooler that restarts costs tries, not jobs",
        faults=tuple(Fault(at=2.0 + 3.0 * number, name="pooler-restart", lasts=0.5) for number in range(3)),
        pooler=True,
    ),
    "queue-refuses": _network("queue", "refuse", 5.0, _ACCEPTED),
    "queue-black-hole": _network("queue", "black-hole", 5.0, _ACCEPTED),
    "queue-cut": _network("queue", "cut", 4.0, _ACCEPTED),
    "queue-outage": Scenario(
        promise=_ACCEPTED, faults=_once("network", 20.0, service="queue", mode="refuse"), seconds=25.0
    ),
    "queue-deleted": Scenario(
        promise="a deleted queue is created again for the next message", faults=_once("deleted-queue")
    ),
    "lost-messages": Scenario(
        promise="a lost message is sent again", faults=tuple(Fault(at=2.0 + n, name="lost-messages") for n in range(6))
    ),
    "copies": Scenario(
        promise="copies of messages run nothing twice",
        faults=tuple(Fault(at=1.0 + n, name="copies") for n in range(8)),
    ),
    "garbage": Scenario(
        promise="garbage on a queue delays nobody", faults=tuple(Fault(at=1.0 + n, name="garbage") for n in range(4))
    ),
    "storage-freeze": Scenario(promise=_ACCEPTED, faults=_once("storage-freeze", 5.0)),
    "hub-restart": Scenario(promise="bells are right after one reconnect", faults=_once("hub-restart", 3.0)),
    "hub-black-hole": _network("hub", "black-hole", 5.0, "jobs do not wait for a silent hub"),
    "hub-cut": _network("hub", "cut", 4.0, "bells are right after one reconnect"),
}
NAMES = (MIXED, *SCENARIOS)


def plan_for(
    name: str, *, seed: int, jobs: int | None = None, seconds: float | None = None, processes: int | None = None
) -> Plan:
    """Return the plan of a scenario; the random one is called `mixed`. Raises `LookupError` for an unknown name."""
    if name == MIXED:
        jobs = jobs or 600
        seconds = seconds or max(_MIN_SECONDS, jobs / JOBS_PER_SECOND)
        faults = mixed(seed, seconds=seconds, kill_every=max(KILL_EVERY, seconds / _MAX_KILLS))
        return Plan(seed=seed, jobs=jobs, seconds=seconds, processes=processes or 4, faults=faults)
    scenario = SCENARIOS[name]
    return Plan(
        seed=seed,
        jobs=jobs or JOBS,
        seconds=seconds or scenario.seconds,
        processes=processes or PROCESSES,
        faults=scenario.faults,
        scenario=name,
        replica=scenario.replica,
        pooler=scenario.pooler,
    )


def minimise(plan: Plan, fails: Callable[[Plan], bool], *, tries: int) -> Plan:
    """Return a failing plan with fewer faults, if one is found by leaving out halves, quarters and so on.

    Each try is a run, and a run may fail by chance only, so this is only the smallest that has failed.
    """
    size = max(1, len(plan.faults) // 2)
    while tries > 0 and plan.faults:
        for start in range(0, len(plan.faults), size):
            smaller = replace(plan, faults=plan.faults[:start] + plan.faults[start + size :])
            tries -= 1
            if fails(smaller):
                plan = smaller
                break
            if tries <= 0:
                return plan
        else:
            if size == 1:
                return plan
            size = max(1, size // 2)
        size = min(size, max(1, len(plan.faults) // 2))
    return plan


def choose_seed() -> int:
    return random.SystemRandom().randrange(1_000_000)
