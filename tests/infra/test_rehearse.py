"""The whole life of a stack on Pulumi's real engine: what scripts/rehearse does, and what it says about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.rehearsal.__main__ import rehearse


@pytest.fixture(scope="module")
def lines(request: pytest.FixtureRequest) -> list[str]:
    """Rehearse once, visibly: on a new machine the engine is built first, which takes minutes."""
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        sys.stdout.write(f"\nrehearse | {line}")
        sys.stdout.flush()

    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        rehearse(say)  # raises at the first thing that is not as it should be
    return said


def line_of(lines: list[str], beginning: str) -> str:
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def test_it_goes_to_the_end_and_leaves_nothing(lines: list[str]) -> None:
    assert lines[-1].startswith("everything as expected")


def test_a_second_preview_shows_no_change(lines: list[str]) -> None:
    line = line_of(lines, "nothing changed: preview")
    assert "same" in line
    assert not {"create", "update", "delete", "replace"} & set(line.replace(",", "").split())


def test_one_more_kind_is_two_queues_and_the_package(lines: list[str]) -> None:
    for beginning in ("one more kind of job: preview", "the same, the site rejects it twice: up"):
        assert "2 create" in line_of(lines, beginning)
        assert line_of(lines, beginning).endswith("1 update")


def test_new_code_is_the_package_alone_also_after_a_failed_deployment(lines: list[str]) -> None:
    assert line_of(lines, "new code, the deployment fails: up").endswith("ended with exit code 1")
    assert line_of(lines, "again, the older code responds for a while: up").endswith("1 update")


def test_an_up_that_was_killed_is_followed_by_one_that_ends(lines: list[str]) -> None:
    after = lines[lines.index("up was killed while it created the database server") :]
    assert any(line.startswith("import what Azure had begun: import") for line in after)
    assert any(line.startswith("take down: destroy") for line in after)


def test_ten_interruptions_are_followed_by_runs_that_end(lines: list[str]) -> None:
    ups, kills, destroys = (
        [number for number, line in enumerate(lines) if line.startswith(beginning)]
        for beginning in ("up was interrupted", "up was killed", "destroy was interrupted")
    )
    assert (len(ups), len(kills), len(destroys)) == (6, 1, 3)
    assert lines[ups[-1] + 1].startswith("continue: up")
    assert lines[destroys[-1] + 1].startswith("take down: destroy")


def test_a_destroyed_stack_is_created_again_under_other_names_only(lines: list[str]) -> None:
    assert line_of(lines, "create it again: up").endswith("ended with exit code 1")


def test_the_copy_is_not_the_checkout(lines: list[str]) -> None:
    root = Path(__file__).resolve().parents[2]
    assert lines
    assert not (root / "functions" / "jobs" / "rehearsed.py").exists()
