"""A small run of scripts/chaos: processes are killed and Postgres is restarted, and every job ends once."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from tools.chaos.fault import Fault
from tools.chaos.report import write_report
from tools.chaos.run import run
from tools.chaos.scenarios import plan_for
from tools.chaos.schedule import Plan
from tools.local_stack.state import temporary_folder

FAULTS = (
    Fault(at=1.5, name="kill", lasts=0.1),
    Fault(at=3.0, name="network", lasts=0.5, service="database", mode="cut"),
    Fault(at=4.0, name="database-restart", lasts=0.2),
    Fault(at=6.0, name="copies"),
    Fault(at=6.5, name="kill", lasts=0.1, choice=1),
)


def test_no_accepted_job_is_lost_stuck_or_stored_twice(tmp_path: Path) -> None:
    plan = plan_for("kill", seed=7, jobs=40, seconds=8, processes=2).with_faults(FAULTS)
    with temporary_folder() as folder:
        audit = run(plan, folder, show=lambda state: None, stop=Event())
    assert audit.problems == []
    assert audit.numbers["jobs accepted"] >= plan.jobs / 2
    assert 1 <= audit.numbers["kills and freezes"] <= sum(fault.name == "kill" for fault in FAULTS)
    write_report(audit, tmp_path)
    assert Plan.read(tmp_path / "schedule.json") == plan
