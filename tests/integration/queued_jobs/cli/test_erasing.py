"""A user is erased by the command."""

from __future__ import annotations

import pytest

from queued_jobs.cli import erase
from tests.integration.queued_jobs.cli.conftest import APP, Office


def test_a_dry_run_counts_and_a_real_one_deletes(office: Office) -> None:
    jobs = office.queue(3)
    office.fail(jobs[:1])
    office.succeed(jobs[1:2])
    (other,) = office.queue(user_id="ben")
    code, output, _ = office.run("erase", "ann", APP, "--dry-run")
    assert (code, output) == (0, "3 jobs would be deleted.\n")
    code, _, errors = office.run("erase", "ann", APP)
    assert (code, "--yes" in errors) == (2, True)
    code, output, errors = office.run("erase", "ann", APP, "--yes")
    assert (code, output) == (0, "3 jobs deleted.\n"), errors
    assert [job["id"] for job in office.json("list")["jobs"]] == [str(other.id)]
    assert [(one["action"], one["changed"]) for one in office.json("audit")["entries"]] == [("erase", 3)]


def test_it_gives_up_while_a_job_does_not_stop(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erase, "_PATIENCE", 0)
    monkeypatch.setattr(erase, "_PAUSE", 0)
    running, _ = office.queue(2)
    office.start(running)
    assert office.run("erase", "ann", APP, "--yes")[0] == 1
    assert [job["id"] for job in office.json("list")["jobs"]] == [str(running.id)]
    assert [(one["changed"], one["outcome"]) for one in office.json("audit")["entries"]] == [(1, "JobConflict")]
