"""What scripts/dev --once checks would be noticed if it were wrong."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from tools.local_stack.smoke_job import JobFailed, check_archive, check_updates, sample_files


def updates(*states: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"status": status, "version": version, "error": None} for status, version in states]


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()


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


def test_the_same_files_pass() -> None:
    check_archive(archive(sample_files()), sample_files())


@pytest.mark.parametrize(
    "changes",
    [{"empty.txt": None}, {"empty.txt": b"not empty"}, {"one byte.dat": b"\x01"}, {"extra.txt": b""}],
    ids=["missing", "not empty", "other byte", "one too many"],
)
def test_other_files_are_noticed(changes: dict[str, bytes | None]) -> None:
    files = sample_files() | changes
    zipped = archive({name: content for name, content in files.items() if content is not None})
    with pytest.raises(JobFailed):
        check_archive(zipped, sample_files())


def test_the_sample_is_about_three_megabytes_with_awkward_names() -> None:
    files = sample_files()
    assert 2_500_000 < sum(map(len, files.values())) < 3_500_000
    assert b"" in files.values()
    assert any(not name.isascii() for name in files)
    assert files == sample_files()
