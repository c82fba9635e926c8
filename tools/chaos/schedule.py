"""The schedule of a run: random faults chosen by a seed, and the file with which a run is repeated."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.chaos.constants import DRAIN, LEASE
from tools.chaos.fault import MODES, Fault

#: How many leases a frozen process sleeps for.
_FREEZE = 1.6
_QUIET_END = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a run needs to be repeated.

    Attributes
    ----------
    seconds
        How long jobs are started, and faults inflicted.
    """

    seed: int
    jobs: int
    seconds: float
    processes: int
    faults: tuple[Fault, ...]
    scenario: str = "mixed"
    replica: bool = False
    pooler: bool = False

    def write(self, path: Path) -> None:
        document = {name: getattr(self, name) for name in self.__slots__ if name != "faults"}
        path.write_text(json.dumps(document | {"faults": [fault.as_json() for fault in self.faults]}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Plan:
        document = json.loads(path.read_text())
        return cls(**document | {"faults": tuple(Fault(**fault) for fault in document["faults"])})

    def with_faults(self, faults: Sequence[Fault]) -> Plan:
        return replace(self, faults=tuple(faults))


def mixed(seed: int, *, seconds: float, kill_every: float) -> tuple[Fault, ...]:
    """Choose kills all the time, and beside them every other fault, one after the other."""
    rng = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    return tuple(sorted([*_kills(rng, seconds, kill_every), *_others(rng, seconds)], key=lambda fault: fault.at))


def _kills(rng: random.Random, seconds: float, every: float) -> list[Fault]:
    faults: list[Fault] = []
    at = 1.5
    while at < seconds - _QUIET_END / 3:
        name = rng.choices(("kill", "drain", "freeze"), (0.86, 0.09, 0.05))[0]
        lasts = {
            "kill": rng.uniform(0.05, 0.3),
            "drain": DRAIN.total_seconds() + 1,
            "freeze": _FREEZE * LEASE.total_seconds(),
        }[name]
        faults.append(Fault(at=round(at, 2), name=name, lasts=round(lasts, 2), choice=rng.randrange(1_000)))
        at += every * rng.uniform(0.7, 1.3)
    return faults


def _others(rng: random.Random, seconds: float) -> list[Fault]:
    """Return network faults and restarts that do not overlap; every sort once before any comes again."""
    faults: list[Fault] = []
    waiting: list[Fault] = []
    at = 2.0
    while True:
        if not waiting:
            waiting = _sorts(rng)
            rng.shuffle(waiting)
        fault = waiting.pop()
        if at + fault.lasts > seconds - _QUIET_END:
            return faults
        faults.append(replace(fault, at=round(at, 2)))
        at += fault.lasts + rng.uniform(0.4, 1.6)


def _sorts(rng: random.Random) -> list[Fault]:
    network = [
        Fault(at=0, name="network", service=service, mode=mode, lasts=round(rng.uniform(0.5, longest), 2))
        for service, longest in (("database", 2.5), ("queue", 3.0), ("hub", 3.0))
        for mode in rng.sample(MODES, 3)
    ]
    return [
        *network,
        Fault(at=0, name="database-restart", lasts=round(rng.uniform(0.2, 1.0), 2)),
        Fault(at=0, name="database-restart", lasts=round(rng.uniform(0.2, 1.0), 2)),
        Fault(at=0, name="database-lock", lasts=round(rng.uniform(1.0, 3.0), 2)),
        Fault(at=0, name="database-connections", lasts=round(rng.uniform(1.0, 3.0), 2)),
        Fault(at=0, name="storage-freeze", lasts=round(rng.uniform(1.0, 4.0), 2)),
        Fault(at=0, name="hub-restart", lasts=1.0),
        Fault(at=0, name="copies"),
        Fault(at=0, name="garbage"),
        Fault(at=0, name="lost-messages"),
    ]
