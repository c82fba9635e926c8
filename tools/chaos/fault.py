"""A fault of a schedule, and what a kill found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tools.local_stack.proxy import DEAF, MUTE, SILENT, Network

#: How a network may be ill. `refuse` and `reset` do not carry bytes.
NETWORKS: dict[str, Network] = {
    "black-hole": SILENT,
    "half-open": DEAF,
    "no-answers": MUTE,
    "slow": Network(delay=0.15),
    "cut": Network(cut_after=3_000),
}
MODES = ("refuse", "reset", *NETWORKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a schedule.

    Attributes
    ----------
    at
        Seconds after the first job.
    lasts
        Seconds until it is healed.
    choice
        Chooses among the processes that run a job at that moment.
    service, mode
        Of a fault of the network.
    """

    at: float
    name: str
    lasts: float = 0.0
    choice: int = 0
    service: str = ""
    mode: str = ""

    def describe(self) -> str:
        return " ".join(part for part in (self.name, self.service, self.mode) if part)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A process that was killed or stopped, and how many jobs it ran then."""

    at: float
    pid: int
    process: str
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflicted:
    """A fault as it happened, in seconds after the first job."""

    fault: Fault
    began: float
    ended: float
