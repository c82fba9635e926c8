"""The promises, each as a function that yields what contradicts it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from tools.chaos.asked import Asked, Ledger
from tools.chaos.facts import Facts, Row
from tools.chaos.jobs.attacked import Keyed, right_value

FINAL = ("succeeded", "failed", "cancelled", "aborted")
#: A job whose worker is lost so often is aborted: perhaps it is the job that kills them.
_MAX_LOST = 3
#: Attempts that ended without their body's consent, after which one of their files may be left for the lifecycle rule.
_UNCLEAN = ("lost", "timeout", "released")


def accepted_is_there(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """Each accepted job exists, once, under its key; a job that was rolled back does not; no other job does."""
    by_key = {(row["user_id"], row["kind"], row["idempotency_key"]): key for key, row in facts.jobs.items()}
    for one in ledger.asked:
        found = by_key.pop((one.user_id, one.kind, one.idempotency_key), None)
        if one.is_rolled_back and found:
            yield f"{found} exists, although its transaction was rolled back"
        if one.id is not None and one.id not in facts.jobs:
            yield f"{one.id} ({one.kind}, {one.how}) was accepted and is lost"
        elif one.id is not None and found != one.id:
            yield f"{one.id} was accepted, but its key leads to {found}"
    for key in by_key.values():
        yield f"{key} exists, although it was never requested"


def ended_once(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """Every job has ended as it had to, with its right result, which is that of the attempt that won."""
    asked = {one.id: one for one in ledger.accepted}
    for key, row in facts.jobs.items():
        if row["status"] not in FINAL:
            yield f"{key} ({row['kind']}) is stuck: {row['status']}, attempt {row['attempt']}"
        elif key in asked:
            yield from _ended_right(asked[key], row, facts)


def executions_are_explained(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """Each execution belongs to one claim, each claim ran at most once, and none is left open."""
    for key, executions in facts.executions.items():
        claims = {attempt["gen"] for attempt in facts.attempts[key]}
        starts = Counter(one.gen for one in executions if one.event == "start")
        for gen, count in starts.items():
            if gen not in claims:
                yield f"{key} ran as generation {gen}, which was never claimed"
            if count > 1:
                yield f"{key} ran {count} times as generation {gen}"
    for key, row in facts.jobs.items():
        attempts = facts.attempts[key]
        won = sum(attempt["outcome"] == "succeeded" for attempt in attempts)
        if (row["status"] == "succeeded") != (won == 1):
            yield f"{key} is {row['status']}, with {won} attempts that succeeded"
        if row["status"] in FINAL and any(attempt["outcome"] is None for attempt in attempts):
            yield f"{key} has ended, but an attempt of it has not"


def changes_were_legal(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """At each single change the versions rose, and nothing that had ended changed."""
    for rule, key, detail in facts.violations:
        yield f"{key}: {rule} ({detail})"


def effects_happened_once(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """What a body writes in the transaction of its result exists once, and only if that is the result."""
    for key, row in facts.jobs.items():
        expected = []
        if row["status"] == "succeeded" and row["request"].get("mode") == "own-transaction":
            expected = [row["result"]["nonce"]]
        if facts.effects[key] != expected:
            yield f"{key} is {row['status']} and has the effects {facts.effects[key]}, not {expected}"


def lines_were_kept(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """No more jobs of a concurrency key ran at once than the kind allows."""
    events: defaultdict[str, list[tuple[object, int]]] = defaultdict(list)
    for key, row in facts.jobs.items():
        for attempt in facts.attempts[key] if row["concurrency_key"] else ():
            if attempt["ended_at"] is not None:
                events[row["concurrency_key"]] += [(attempt["started_at"], 1), (attempt["ended_at"], -1)]
    for line, changes in events.items():
        now = most = 0
        for _, step in sorted(changes):
            now += step
            most = max(most, now)
        if most > Keyed.concurrency:
            yield f"{most} jobs of {line} ran at once, not {Keyed.concurrency}"


def follow_ups_waited(ledger: Ledger, facts: Facts) -> Iterator[str]:
    """A follow-up saw all jobs of its batch, ended."""
    for one in ledger.accepted:
        row = facts.jobs.get(one.id or "")
        if one.how == "follow-up" and row and row["status"] == "succeeded":
            seen = row["result"]["members"], row["result"]["unfinished"]
            if seen != (one.members, 0):
                yield f"{one.id} saw {seen[0]} jobs of its batch, {seen[1]} of them unfinished, not {one.members}"


def files_are_right(facts: Facts, files: set[str]) -> Iterator[str]:
    """Each result's file exists; a file without a result is of an attempt that could not clean up."""
    named = {row["result"]["blob"]: key for key, row in facts.jobs.items() if row["result"] and row["result"]["blob"]}
    for name in named.keys() - files:
        yield f"{named[name]} has a result without its file {name}"
    for name in files - named.keys():
        key, _, claim = name.removesuffix(".txt").partition("/")
        outcomes = [attempt["outcome"] for attempt in facts.attempts[key] if attempt["lease_token"].hex == claim]
        if not outcomes or outcomes[0] not in _UNCLEAN:
            yield f"the file {name} was left behind by an attempt that ended {outcomes}"


RULES: tuple[Callable[[Ledger, Facts], Iterator[str]], ...] = (
    accepted_is_there,
    ended_once,
    executions_are_explained,
    changes_were_legal,
    effects_happened_once,
    lines_were_kept,
    follow_ups_waited,
)


def _ended_right(one: Asked, row: Row, facts: Facts) -> Iterator[str]:
    status, key = row["status"], str(row["id"])
    allowed = {"failed"} if one.mode == "fails" else {"succeeded"}
    if one.is_cancelled:
        allowed.add("cancelled")
    lost = sum(attempt["outcome"] == "lost" for attempt in facts.attempts[key])
    if lost >= _MAX_LOST or row["attempt"] >= row["max_attempts"]:
        allowed.add("aborted")
    if status not in allowed:
        yield f"{key} ({one.kind}, {one.mode}) ended {status}: {row['error']}"
    if status != "succeeded":
        return
    result = row["result"]
    if (result["number"], result["value"]) != (one.number, right_value(one.number)):
        yield f"{key} has the wrong result {result}"
    winner = facts.winner(key)
    ends = [run.gen for run in facts.executions.get(key, ()) if run.event == "end" and run.nonce == result["nonce"]]
    if winner is None or ends != [winner["gen"]]:
        yield f"{key} has a result that its winning attempt has not returned"
