"""Kinds with a schedule, listed and started by the command."""

from __future__ import annotations

from tests.integration.queued_jobs.cli.conftest import APP, Office


def test_a_schedule_is_listed_and_started_now(office: Office) -> None:
    (before,) = office.json("schedules", APP)["schedules"]
    assert (before["kind"], before["expression"], before["last_at"]) == ("daily", "0 0 3 * * *", None)
    code, output, errors = office.run("run-now", "daily", APP, "--queues", office.account)
    assert code == 0, errors
    (job,) = office.json("list")["jobs"]
    assert output.startswith(f"{job['id']} is pending.")
    assert job["id"] in [str(message.id) for message in office.messages()], "the queue has those of other tests, too"
    code, _, errors = office.run("run-now", "greeting", APP, "--queues", office.account)
    assert (code, "greeting" in errors) == (2, True)
    assert office.json("schedules", APP)["schedules"] == [before], "a manual start does not count as one"
    code, output, _ = office.run("schedules", APP)
    assert (code, len(output.splitlines())) == (0, 2)
    recorded = [(one["action"], one["changed"]) for one in office.json("audit")["entries"]]
    assert recorded == [("run-now", None), ("run-now", 1)]
