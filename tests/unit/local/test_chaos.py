"""The parts of scripts/chaos that need no servers: choices, files, plots, and the rules of the audit."""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from tools.chaos.asked import Asked, Ledger
from tools.chaos.audit import Audit, Recovery
from tools.chaos.facts import Execution, Facts
from tools.chaos.fault import MODES, Fault, Inflicted
from tools.chaos.faults import NAMES as FAULTS
from tools.chaos.jobs.attacked import right_value
from tools.chaos.plot import draw
from tools.chaos.rules import RULES, files_are_right
from tools.chaos.run import State
from tools.chaos.scenarios import MIXED, NAMES, minimise, plan_for
from tools.chaos.schedule import Plan
from tools.chaos.view import describe
from tools.chaos.world import SERVICES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TestPlans:
    @pytest.mark.parametrize("name", NAMES)
    def test_every_fault_of_a_scenario_can_be_inflicted(self, name: str) -> None:
        plan = plan_for(name, seed=1)
        assert plan.faults
        for fault in plan.faults:
            assert fault.name in FAULTS
            assert 0 <= fault.at <= plan.seconds
            if fault.name == "network":
                assert fault.service in SERVICES
                assert fault.mode in MODES
            assert fault.name != "database-failover" or plan.replica
            assert fault.name != "pooler-restart" or plan.pooler

    def test_a_seed_repeats_a_run_and_a_file_keeps_it(self, tmp_path: Path) -> None:
        plan = plan_for(MIXED, seed=5, jobs=2_000)
        assert plan == plan_for(MIXED, seed=5, jobs=2_000)
        assert plan != plan_for(MIXED, seed=6, jobs=2_000)
        plan.write(tmp_path / "schedule.json")
        assert Plan.read(tmp_path / "schedule.json") == plan

    def test_a_large_run_has_enough_kills_and_every_other_fault(self) -> None:
        plan = plan_for(MIXED, seed=5, jobs=2_000)
        counted = Counter(fault.name for fault in plan.faults)
        assert counted["kill"] >= 40
        assert {"drain", "database-restart", "network"} <= counted.keys()

    def test_the_faults_that_matter_are_found(self) -> None:
        plan = plan_for(MIXED, seed=5, jobs=2_000)
        guilty = plan.faults[11]
        smallest = minimise(plan, lambda smaller: guilty in smaller.faults, tries=200)
        assert smallest.faults == (guilty,)


def job_and_history(*, status: str = "succeeded", **changed: Any) -> tuple[Ledger, Facts]:
    """What is known of one job that ended as it should."""
    key, token = str(uuid4()), uuid4()
    one = Asked(
        number=3,
        kind="chaos-thread",
        mode="file",
        how="http",
        user_id="ann",
        idempotency_key="key",
        id=key,
    )
    result = {"number": 3, "value": right_value(3), "nonce": "abc", "blob": f"{key}/{token.hex}.txt"}
    row = {
        "id": key,
        "kind": one.kind,
        "user_id": one.user_id,
        "idempotency_key": one.idempotency_key,
        "concurrency_key": None,
        "status": status,
        "attempt": 1,
        "max_attempts": 8,
        "request": {"number": 3, "mode": "file"},
        "result": result,
        "error": None,
    }
    attempt = {
        "job_id": key,
        "gen": 1,
        "outcome": status,
        "lease_token": token,
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=1),
    }
    executions = [Execution(at=0, event=event, gen=1, pid=1, nonce="abc") for event in ("start", "end")]
    facts = Facts(
        jobs={key: row | changed},
        attempts=defaultdict(list, {key: [attempt]}),
        executions=defaultdict(list, {key: executions}),
        effects=defaultdict(list),
        violations=[],
    )
    return Ledger([one]), facts


def problems(ledger: Ledger, facts: Facts) -> list[str]:
    files = {row["result"]["blob"] for row in facts.jobs.values() if row["result"]}
    return [problem for rule in RULES for problem in rule(ledger, facts)] + list(files_are_right(facts, files))


def lose(ledger: Ledger, facts: Facts) -> None:
    facts.jobs.clear()
    facts.attempts.clear()
    facts.executions.clear()


def add_stranger(ledger: Ledger, facts: Facts) -> None:
    ledger.asked.clear()


def get_stuck(ledger: Ledger, facts: Facts) -> None:
    next(iter(facts.jobs.values())).update(status="running", result=None)


def store_twice(ledger: Ledger, facts: Facts) -> None:
    (attempts,) = facts.attempts.values()
    attempts.append(copy.copy(attempts[0]) | {"gen": 2})


def run_twice(ledger: Ledger, facts: Facts) -> None:
    (executions,) = facts.executions.values()
    executions.append(executions[0])


def run_unclaimed(ledger: Ledger, facts: Facts) -> None:
    (executions,) = facts.executions.values()
    executions.append(Execution(at=0, event="start", gen=9, pid=1, nonce="x"))


def store_another_result(ledger: Ledger, facts: Facts) -> None:
    (row,) = facts.jobs.values()
    row["result"] = row["result"] | {"value": 0}


def store_a_losers_result(ledger: Ledger, facts: Facts) -> None:
    (row,) = facts.jobs.values()
    row["result"] = row["result"] | {"nonce": "of a loser"}


def fail(ledger: Ledger, facts: Facts) -> None:
    next(iter(facts.jobs.values())).update(status="failed", result=None)
    next(iter(facts.attempts.values()))[0]["outcome"] = "failed"


def roll_back(ledger: Ledger, facts: Facts) -> None:
    ledger.asked[0].is_rolled_back, ledger.asked[0].id = True, None


def change_illegally(ledger: Ledger, facts: Facts) -> None:
    facts.violations.append(("a version fell", next(iter(facts.jobs)), "3 -> 2"))


def repeat_an_effect(ledger: Ledger, facts: Facts) -> None:
    facts.effects[next(iter(facts.jobs))] = ["abc", "abc"]


class TestRules:
    def test_a_job_that_ended_as_it_should_is_no_problem(self) -> None:
        assert problems(*job_and_history()) == []

    @pytest.mark.parametrize(
        "break_",
        [
            lose,
            add_stranger,
            get_stuck,
            store_twice,
            run_twice,
            run_unclaimed,
            store_another_result,
            store_a_losers_result,
            fail,
            roll_back,
            change_illegally,
            repeat_an_effect,
        ],
    )
    def test_each_broken_promise_is_found(self, break_: Callable[[Ledger, Facts], None]) -> None:
        ledger, facts = job_and_history()
        break_(ledger, facts)
        assert problems(ledger, facts)

    def test_a_file_is_left_behind_only_by_an_attempt_that_was_lost(self) -> None:
        _, facts = job_and_history()
        (key,) = facts.jobs
        lost = facts.attempts[key][0] | {"gen": 2, "outcome": "lost", "lease_token": uuid4()}
        facts.attempts[key].append(lost)
        own = facts.jobs[key]["result"]["blob"]
        assert list(files_are_right(facts, {own, f"{key}/{lost['lease_token'].hex}.txt"})) == []
        assert list(files_are_right(facts, {own, f"{key}/{uuid4().hex}.txt"}))
        assert list(files_are_right(facts, set()))

    def test_a_line_that_is_too_wide_is_found(self) -> None:
        ledger, facts = job_and_history(concurrency_key="line-1")
        (attempts,) = facts.attempts.values()
        attempts += [copy.copy(attempts[0]), copy.copy(attempts[0])]
        assert any("line-1" in problem for problem in problems(ledger, facts))


def test_the_plot_is_a_document() -> None:
    fault = Fault(at=1, name="kill", lasts=2)
    audit = Audit(
        plan=plan_for("kill", seed=1),
        problems=[],
        numbers={},
        recoveries=[Recovery(at=1, to_rescue=5.5, to_claim=None)],
        progress=[(0.0, 0, 0), (5.0, 10, 8)],
        inflicted=[Inflicted(fault=fault, began=1, ended=3)],
    )
    root = ElementTree.fromstring(draw(audit))  # noqa: S314 (our own document)
    assert {child.tag.rpartition("}")[2] for child in root} >= {"polyline", "rect", "circle"}


def test_the_live_view_is_one_line() -> None:
    line = describe(State(current={1: Fault(at=0, name="network", service="queue", mode="refuse")}), 61)
    assert "\n" not in line
    assert "network queue refuse" in line
