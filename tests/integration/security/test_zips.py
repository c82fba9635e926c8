"""Zips with hostile names, opened by the programs that people have."""

from __future__ import annotations

import io
import os
import random
import subprocess
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive import Archive, BlockWriter
from tests.integration.security.conftest import Attacks
from tools.docs_and_samples.unzip_tools import TOOLS, find_or_install

MODIFIED = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
HOSTILE = [
    "../../etc/passwd",
    "/abs",
    "C:\\x",
    "C:/windows/system32/x",
    "\\\\server\\share\\x",
    "a\\..\\b",
    "a/../../../c",
    "./././d",
    "con.txt",
    "aux",
    "dir/NUL.tar.gz",
    "com1",
    "LPT9.",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\ufeffbom",
    "nul\0char",
    "new\nline",
    "tab\tand\x1b[31mcolour",
    "bell\x07",
    "x" * 1_000,
    "ü" * 500 + ".pdf",
    "e\u0301.txt",
    "\u00e9.txt",
    "a.txt",
    "A.TXT",
    "A.txt",
    "a.txt/inside",
    "Folder/one",
    "folder/two",
    "FOLDER",
    "trailing. ",
    "trailing",
    " leading",
    "-rf",
    "--help",
    "~",
    "$(id)",
    "`id`",
    "'quoted\"",
    "semi;colon",
    "per%2e%2e/cent",
    "star*?",
    "<tag>",
    "pipe|",
    "half\ud800",
    "日本語/ファイル.txt",
    "emoji😀.txt",
    "..",
    ".",
    "",
    "...",
    "a//b",
    "__MACOSX/x",
    ".htaccess",
]


class Blob:
    """Keeps blocks, as the service does, until they are committed."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.content = b""

    def stage_block(self, block_id: str, data: bytes) -> None:
        self.blocks[block_id] = data

    def commit_block_list(self, blocks: list[object], **_: object) -> None:
        self.content = b"".join(self.blocks[block.id] for block in blocks)  # type: ignore[attr-defined]


def zipped(files: list[tuple[str, bytes]]) -> bytes:
    blob = Blob()
    target = BlockWriter(blob)  # type: ignore[arg-type]
    with Archive.writing(target) as archive:
        for name, content in files:
            archive.add(name, MODIFIED, [content])
    target.commit(content_type="application/zip", metadata={})
    return blob.content


@pytest.fixture(scope="module")
def tools() -> list[str]:
    found = find_or_install()
    if len(found) < len(TOOLS):
        missing = ", ".join(f"{program} (Debian: {TOOLS[program]})" for program in TOOLS if program not in found)
        assert os.geteuid() != 0, f"could not be installed: {missing}"
        pytest.skip(f"NOT CHECKED, because these are not here: {missing}")
    return [*found, "python"]


def extract(tool: str, path: Path, folder: Path) -> None:
    """Extract with this program; no question may be left open, and no warning be given."""
    folder.mkdir()
    if tool == "python":
        with zipfile.ZipFile(path) as zip_file:
            zip_file.extractall(folder)
        return
    command = {
        "unzip": ["unzip", "-qq", "-n", str(path), "-d", str(folder)],
        "bsdtar": ["bsdtar", "-x", "-f", str(path), "-C", str(folder)],
        "7z": ["7z", "x", "-y", f"-o{folder}", str(path)],
    }[tool]
    environment = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, timeout=300
    )
    assert ended.returncode == 0, (tool, ended.stdout[-500:], ended.stderr[-500:])


def composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def check(tools: list[str], files: list[tuple[str, bytes]], folder: Path) -> None:
    """Every tool extracts each file once, inside the folder, with its content."""
    folder.mkdir()
    path = folder / "files.zip"
    path.write_bytes(zipped(files))
    with zipfile.ZipFile(path) as zip_file:
        assert zip_file.testzip() is None
        names = sorted(zip_file.namelist())
    assert len(names) == len({name.casefold() for name in names}) == len(files)
    for tool in tools:
        out = folder / "jail" / tool
        out.parent.mkdir(exist_ok=True)
        extract(tool, path, out)
        found = {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if not file.is_dir()}
        # bsdtar composes accents; no two names differ in that alone
        assert sorted(map(composed, found)) == sorted(map(composed, names)), tool
        assert sorted(found.values()) == sorted(content for _, content in files), tool
        assert not any(file.is_symlink() for file in out.rglob("*"))
    assert sorted(entry.name for entry in folder.iterdir()) == ["files.zip", "jail"], "nothing beside it"
    assert sorted(entry.name for entry in (folder / "jail").iterdir()) == sorted(tools)


def test_every_tool_extracts_all_of_it_inside(tools: list[str], tmp_path: Path, attacks: Attacks) -> None:
    files = [(name, str(number).encode()) for number, name in enumerate(HOSTILE)]
    check(tools, files, tmp_path / "all")
    chance = random.Random(33)
    pieces = [
        "..",
        ".",
        "a",
        "A",
        "con",
        "ü",
        "\u202e",
        "x" * 90,
        "",
        " ",
        "/",
        "\\",
        "b.txt",
        "B.TXT",
        "日",
        "\0",
        "nul.",
        ":",
    ]
    for round_ in range(20):
        trees = {"/".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(40)}
        check(tools, [(name, f"{round_} {name!r}".encode()) for name in sorted(trees)], tmp_path / str(round_))
    attacks.note(
        "A33", f"hostile names and 20 random trees, opened by {', '.join(tools)}", ["inside"] * (len(HOSTILE) + 800)
    )


def test_more_entries_than_a_plain_zip_can_count(tools: list[str], tmp_path: Path, attacks: Attacks) -> None:
    """65,536 entries need ZIP64; each entry has its sizes in that form anyway."""
    content = zipped([(f"{number // 1000}/{number}", b"") for number in range(65_536)])
    path = tmp_path / "many.zip"
    path.write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(content)) as zip_file:
        assert len(zip_file.infolist()) == 65_536
    lists = {
        "unzip": ["unzip", "-Z1", str(path)],
        "bsdtar": ["bsdtar", "-t", "-f", str(path)],
        "7z": ["7z", "l", "-ba", "-slt", str(path)],
    }
    for tool in tools:
        if tool in lists:
            listed = subprocess.run(lists[tool], capture_output=True, text=True, check=True, timeout=300).stdout
            count = listed.count("Path = ") if tool == "7z" else len(listed.splitlines())
            assert count == 65_536, tool
    attacks.note("A33", f"65,536 entries, listed by {', '.join(tools)}", ["65,536"] * len(tools))
