"""What the command changes, on a real database and real queues."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from datetime import timedelta

import pytest

from queued_jobs.cli.app import app, run
from queued_jobs.message import JobMessage, Reserved
from queued_jobs.postgres import PostgresRepository
from queued_jobs.queues import StorageQueues
from tests.integration.queued_jobs.cli.conftest import APP, QUEUE, Office


def test_retry_wakes_a_worker(office: Office) -> None:
    (job,) = office.queue()
    office.fail([job])
    code, output, _ = office.run("retry", str(job.id), "--queues", office.account)
    assert (code, output) == (0, f"{job.id} is pending.\n")
    assert [message.id for message in office.messages()] == [job.id]
    code, _, errors = office.run("retry", str(job.id))
    assert code == 1
    assert errors.startswith("queued-jobs: ")
    assert "pending" in errors


async def owed_soon(repository: PostgresRepository) -> list[Reserved]:
    """Return what the sweeper has to send once the reservations for the command are over."""
    async with repository.database.connection() as conn:
        await conn.execute("update queued_jobs.job set next_send_at = next_send_at - interval '1 minute'")
    return await repository.unsent(limit=10)


def test_retry_without_queues_leaves_the_message_to_the_sweeper(office: Office) -> None:
    (job,) = office.queue()
    office.fail([job])
    code, output, _ = office.run("retry", str(job.id))
    assert code == 0
    assert output.splitlines()[1].startswith("1 message was not sent")
    owed = office.with_repository(owed_soon)
    assert [one.message.id for one in owed] == [job.id]


def test_all_that_match_are_retried_after_a_yes(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.fail(office.queue(3))
    (other,) = office.queue(user_id="ben")
    office.fail([other])
    code, _, errors = office.run("retry", "--user", "ann")
    assert code == 2
    assert errors.startswith("queued-jobs: Retry 3 jobs?")
    assert "--yes" in errors
    assert len(office.json("list", "--status", "failed")["jobs"]) == 4
    code, output, _ = office.run("retry", "--user", "ann", "--yes", "--queues", office.account)
    assert (code, output) == (0, "3 jobs retried.\n")
    assert len(office.messages()) >= 1
    assert [job["id"] for job in office.json("list", "--status", "failed")["jobs"]] == [str(other.id)]
    assert office.run("retry", "--user", "ann", "--yes")[1] == "No matching job can be retried.\n"


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 2), ("y", 0, 0)])
def test_in_a_terminal_it_asks(office: Office, answer: str, code: int, left: int) -> None:
    office.queue(2)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "queued_jobs.cli", "cancel", "--kind", "greeting"],
        env=os.environ | {"DATABASE_URL": office.url},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, f"{answer}\n".encode())
    output, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert "Cancel 2 jobs? [y/N]" in errors
    assert output.strip() == ("2 jobs cancelled or asked to stop." if answer == "y" else "")
    assert ("nothing was done" in errors) is (answer == "n")
    assert len(office.json("list", "--status", "pending")["jobs"]) == left


def test_cancel(office: Office) -> None:
    waiting, running = office.queue(2)
    office.start(running)
    assert office.run("cancel", str(waiting.id))[1] == f"{waiting.id} is cancelled.\n"
    assert "was asked to stop" in office.run("cancel", str(running.id))[1]
    assert "running, asked to stop" in office.run("show", str(running.id))[1]
    code, _, errors = office.run("cancel", str(waiting.id))
    assert code == 1
    assert "cancelled" in errors


def test_cancel_of_all_that_match(office: Office) -> None:
    office.queue(2)
    office.succeed(office.queue())
    assert office.run("cancel", "--kind", "greeting", "--yes")[1] == "2 jobs cancelled or asked to stop.\n"


def test_redrive_moves_what_was_poisoned_back(office: Office) -> None:
    (job,) = office.queue()
    message = JobMessage.of(job)

    async def poison() -> None:
        async with StorageQueues(office.account) as queues:
            await queues.send(f"{QUEUE}-poison", message)

    office.messages()
    asyncio.run(poison())
    assert office.run("redrive", QUEUE)[0] == 2, "without an account"
    code, output, _ = office.run("redrive", f"{QUEUE}-poison", "--queues", office.account)
    assert (code, output) == (0, f"1 of 1 messages moved from {QUEUE}-poison to {QUEUE}.\n")
    assert message in office.messages()


def test_each_command_that_changes_jobs_is_recorded(office: Office) -> None:
    (job,) = office.queue()
    office.run("cancel", str(job.id))
    office.run("retry", str(job.id))
    office.run("cancel", "--kind", "greeting", "--yes")
    office.run("retry", "--kind", "greeting", "--yes")
    office.run("redrive", QUEUE, "--queues", office.account)
    office.run("pause", "greeting")
    office.run("resume", "greeting")
    office.run("run-now", "daily", APP)
    office.run("prune", "--older-than", "1d", "--yes")
    office.run("erase", "nobody", APP, "--yes")
    entries = office.json("audit")["entries"]
    actions = ["cancel", "retry", "cancel-all", "retry-all", "redrive", "pause", "resume", "run-now", "prune", "erase"]
    assert [entry["action"] for entry in reversed(entries)] == actions
    assert [entry["changed"] for entry in reversed(entries)] == [1, 1, 1, 1, 0, None, None, 1, 0, 0]
    assert {entry["outcome"] for entry in entries} == {"done"}
    assert all(entry["subject"].startswith("command:") for entry in entries)
    recorded = {action.removesuffix("-all") for action in actions}
    others = {"list", "show", "stats", "audit", "schedules", "workers", "migrate", "worker"}
    assert {one.name for one in app.registered_commands} == recorded | others


def test_prune_leaves_results_unless_told(office: Office) -> None:
    office.fail(office.queue(2))
    office.succeed(office.queue())
    assert office.run("prune", "--older-than", "1d", "--yes")[1] == "0 jobs deleted.\n"
    assert office.run("prune", "--older-than", "0s")[0] == 2, "it needs a confirmation"
    assert office.run("prune", "--older-than", "0s", "--yes")[1] == "2 jobs deleted.\n"
    assert office.run("prune", "--older-than", "0s", "--with-results", "--yes")[1] == "1 job deleted.\n"


def test_prune_leaves_the_statistics_as_they_were(office: Office) -> None:
    office.fail(office.queue(3))
    office.succeed(office.queue(600))
    office.fail(office.queue(), "another reason")
    waiting = office.queue(2)
    before = office.json("stats")
    assert before["stats"]["total"]["counts"] == {"created": 606, "succeeded": 600, "failed": 4, "retried": 0}
    assert sorted(group["failures"] for group in before["failures"]["groups"]) == [1, 3]
    assert office.run("prune", "--older-than", "0s", "--with-results", "--yes")[1] == "604 jobs deleted.\n"
    assert {job["id"] for job in office.json("list")["jobs"]} == {str(job.id) for job in waiting}
    after = office.json("stats")
    assert after["stats"]["total"]["counts"] == before["stats"]["total"]["counts"]
    assert after["stats"]["buckets"] == before["stats"]["buckets"]
    assert after["failures"]["groups"] == before["failures"]["groups"]


def test_migrate(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--database-url", database_url]) == 1
    assert capsys.readouterr().err.endswith("bring the database up to date: queued-jobs migrate\n")
    assert run(["migrate", "--database-url", database_url]) == 0
    assert "applied 0001_initial" in capsys.readouterr().out
    assert run(["migrate", "--database-url", database_url]) == 0
    assert capsys.readouterr().out == "The database is up to date.\n"


def test_a_kind_is_paused_and_resumed(office: Office) -> None:
    (job,) = office.queue()
    code, output, _ = office.run("pause", "greeting")
    assert (code, output.startswith("greeting is paused")) == (0, True)
    assert "1 job " in output

    async def hold(repository: PostgresRepository) -> bool:
        lease = timedelta(minutes=1)
        message = JobMessage.of(job)
        row = await repository.claim(message, kind="greeting", schema_version=1, lease=lease, timeout=lease)
        return row is not None and row.is_paused

    assert office.with_repository(hold) is True
    assert office.run("pause", "greeting")[0] == 0, "it may be repeated"
    code, output, _ = office.run("resume", "greeting", "--queues", office.account)
    assert (code, output) == (0, "greeting is resumed.\n")
    assert job.id in [message.id for message in office.messages()]
    assert office.run("resume", "greeting")[1] == "greeting was not paused.\n"
    assert office.run("pause", "No kind!")[0] == 2
    recorded = office.json("audit")["entries"]
    done = [(entry["action"], entry["filter"], entry["outcome"]) for entry in recorded]
    assert done[::-1] == [
        *[("pause", {"kind": "greeting"}, "done")] * 2,
        *[("resume", {"kind": "greeting"}, "done")] * 2,
        ("pause", {"kind": "No kind!"}, "InvalidRequest"),
    ]
