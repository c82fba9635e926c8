"""What scripts/dev --once checks would be noticed if it were wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tools.local_stack.smoke_job import JobFailed, check_copy, check_updates


def updates(*states: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"status": status, "version": version, "error": None} for status, version in states]


def test_the_whole_story_passes() -> None:
    check_updates(updates(("pending", 1), ("running", 2), ("running", 3), ("succeeded", 5)))


@pytest.mark.parametrize(
    "story",
    [
        updates(),
        updates(("running", 2), ("succeeded", 3)),
        updates(("pending", 1), ("succeeded", 3)),
        updates(("pending", 1), ("running", 2), ("failed", 3)),
        updates(("pending", 1), ("running", 2), ("running", 2), ("succeeded", 3)),
        updates(("pending", 1), ("running", 3), ("running", 2), ("succeeded", 4)),
    ],
    ids=["nothing", "no pending", "no running", "failed", "version twice", "version falls"],
)
def test_a_wrong_story_is_noticed(story: list[dict[str, Any]]) -> None:
    with pytest.raises(JobFailed):
        check_updates(story)


def test_a_copy_that_differs_is_noticed() -> None:
    check_copy(b"content", b"content")
    with pytest.raises(JobFailed):
        check_copy(b"conten", b"content")
