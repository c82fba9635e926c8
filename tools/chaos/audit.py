"""The audit of a run: what contradicts the promises, and the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from azure.storage.blob import BlobServiceClient

from tools.chaos.asked import Ledger
from tools.chaos.bells import Bell
from tools.chaos.constants import RECOVERY_GOAL
from tools.chaos.facts import Facts, process_of
from tools.chaos.fault import Inflicted, Kill
from tools.chaos.leftovers import count_messages
from tools.chaos.load import Load
from tools.chaos.rules import RULES, files_are_right
from tools.chaos.schedule import Plan
from tools.chaos.world import World

_RESULTS = "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A job whose worker was killed: seconds from the kill to the rescue, and to the next attempt."""

    at: float
    to_rescue: float
    to_claim: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The end of a run. It has passed if there are no problems."""

    plan: Plan
    problems: list[str]
    numbers: dict[str, Any]
    recoveries: list[Recovery]
    progress: list[tuple[float, int, int]]
    inflicted: list[Inflicted]

    @property
    def passed(self) -> bool:
        return not self.problems


def audit(
    plan: Plan,
    world: World,
    load: Load,
    kills: Sequence[Kill],
    *,
    began: float,
    ended: float,
    progress: list[tuple[float, int, int]],
    inflicted: list[Inflicted],
) -> Audit:
    """Read everything once and judge it."""
    facts = Facts.of(world)
    ledger = load.ledger
    problems = [problem for rule in RULES for problem in rule(ledger, facts)]
    problems += [f"{count} messages are left on {queue}" for queue, count in count_messages(world).items()]
    files = _files(world)
    problems += files_are_right(facts, files)
    load.call(_read_all(load.bells))
    for bell in load.bells:
        problems += _bell_is_right(bell, facts)
    recoveries = list(_recoveries(kills, facts, began))
    return Audit(
        plan=plan,
        problems=problems,
        numbers=_numbers(ledger, facts, kills, recoveries, load.bells, seconds=ended - began),
        recoveries=recoveries,
        progress=progress,
        inflicted=inflicted,
    )


async def _read_all(bells: Sequence[Bell]) -> None:
    for bell in bells:
        await bell.read()


def _bell_is_right(bell: Bell, facts: Facts) -> Iterator[str]:
    """What pushes and one read have shown is what the database holds."""
    own = {
        key: (row["version"], row["status"])
        for key, row in facts.jobs.items()
        if row["user_id"] == bell.user_id and row["cleared_at"] is None
    }
    wrong = [key for key in own.keys() | bell.shown.keys() if own.get(key) != bell.shown.get(key)]
    if wrong:
        key = wrong[0]
        yield (
            f"the bell of {bell.user_id} differs in {len(wrong)} jobs: {key} is {own.get(key)} in the database "
            f"and {bell.shown.get(key)} in the bell"
        )


def _files(world: World) -> set[str]:
    with BlobServiceClient.from_connection_string(world.azurite.connection_string) as service:
        return {blob.name for blob in service.get_container_client(_RESULTS).list_blobs()}


def _recoveries(kills: Sequence[Kill], facts: Facts, began: float) -> Iterator[Recovery]:
    """Measure each attempt that was lost with a killed or frozen process."""
    for attempts in facts.attempts.values():
        for attempt in attempts:
            kill = next((kill for kill in kills if kill.pid == process_of(attempt)), None)
            if kill is None or attempt["outcome"] != "lost" or attempt["started_at"].timestamp() > kill.at:
                continue
            later = [other for other in attempts if other["gen"] > attempt["gen"]]
            yield Recovery(
                at=round(kill.at - began, 2),
                to_rescue=round(attempt["ended_at"].timestamp() - kill.at, 2),
                to_claim=round(later[0]["started_at"].timestamp() - kill.at, 2) if later else None,
            )


def _numbers(
    ledger: Ledger,
    facts: Facts,
    kills: Sequence[Kill],
    recoveries: Sequence[Recovery],
    bells: Sequence[Bell],
    *,
    seconds: float,
) -> dict[str, Any]:
    attempts = [attempt for one in facts.attempts.values() for attempt in one]
    killed = {kill.pid for kill in kills}
    hit = {process_of(attempt) for attempt in attempts if attempt["outcome"] == "lost"} & killed
    rescues = [one.to_rescue for one in recoveries]
    claims = [one.to_claim for one in recoveries if one.to_claim is not None]
    answered = [call.seconds for call in ledger.calls if call.status == 202]
    return {
        "seconds": round(seconds, 1),
        "jobs asked": len(ledger.asked),
        "jobs accepted": len(ledger.accepted),
        "jobs stored": len(facts.jobs),
        "statuses": dict(Counter(row["status"] for row in facts.jobs.values())),
        "attempts": dict(Counter(str(attempt["outcome"]) for attempt in attempts)),
        "kills and freezes": len(kills),
        "kills that hit a running job": len(hit),
        "jobs that lost a worker": len(recoveries),
        "kill to rescue, p50 and p99 in s": [_percentile(rescues, 0.5), _percentile(rescues, 0.99)],
        "kill to next attempt, p50 and p99 in s": [_percentile(claims, 0.5), _percentile(claims, 0.99)],
        "goal for the rescue in s": RECOVERY_GOAL.total_seconds(),
        "HTTP statuses": dict(Counter(str(call.status) for call in ledger.calls)),
        "POST accepted, p50 and p99 in s": [_percentile(answered, 0.5), _percentile(answered, 0.99)],
        "POST refused, slowest in s": round(
            max((call.seconds for call in ledger.calls if call.status not in (0, 202)), default=0.0), 2
        ),
        "executions": sum(run.event == "start" for runs in facts.executions.values() for run in runs),
        "pushes received": sum(bell.pushes for bell in bells),
        "connections of bells": sum(bell.connections for bell in bells),
    }


def _percentile(values: Sequence[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None
