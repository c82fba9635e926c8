"""Names inside zips, and zips that are written from front to end."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archive import Archive, BlockWriter, safe_file_name, safe_name, unused_name

#: Format characters of scripts that are drawn, such as the sign of a year, or that join what is drawn.
VISIBLE = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN", "SHORTHAND", "MUSICAL")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("a/b/c.txt", "a/b/c.txt"),
        ("ü/日本.txt", "ü/日本.txt"),
        ("u\u0308.txt", "u\u0308.txt"),
        (".profile", ".profile"),
        ("conf/.env", "conf/.env"),
        ("..a/.b/ c", "..a/.b/ c"),
        ("./a/.. /b", "a/b"),
        ("nul .txt", "_nul .txt"),
        ("../../etc/passwd", "etc/passwd"),
        ("/abs", "abs"),
        ("C:\\x", "C_/x"),
        ("a\\..\\b", "a/b"),
        ("a/./b", "a/b"),
        ("con.txt", "_con.txt"),
        ("x/NUL", "x/_NUL"),
        ("com1", "_com1"),
        ("trailing. ", "trailing"),
        ("gpj\u202eexe", "gpj_exe"),
        ("a\0b\nc", "a_b_c"),
        ("", "unnamed"),
        ("..", "unnamed"),
        ("half\ud800", "half?".replace("?", "_")),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    "name",
    ["a/b", "a\\b", "..\\..\\b", "/", "\\", "", "con", "a\r\nb", '"; x="y', "gpj\u061cexe", "\u202e", "\ud800"],
)
def test_a_file_name_names_no_folder(name: str) -> None:
    safe = safe_file_name(name)
    assert safe
    assert not {*safe} & {*'/\\"\r\n\u061c\u202e\ud800'}
    assert safe_file_name(safe) == safe
    assert safe_name(safe) == safe


def test_no_invisible_character_is_in_a_name() -> None:
    for character in map(chr, range(0xE1000)):
        if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp"):
            shown = safe_name(f"a{character}b")
            assert character not in shown or unicodedata.name(character, "").startswith(VISIBLE), hex(ord(character))


@given(st.text(max_size=1_000))
def test_any_name_stays_inside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe.encode()) <= 200
    assert not safe.startswith("/")
    assert not any(part in ("", ".", "..") for part in safe.split("/"))
    assert "\\" not in safe
    assert safe_name(safe) == safe


def test_a_long_name_keeps_its_suffix() -> None:
    assert safe_name("x" * 1_000 + ".pdf").endswith("x.pdf")
    assert safe_name("x" * 300 + "/.env") == "x" * 200


def test_names_that_differ_in_case_only_are_told_apart() -> None:
    used: set[str] = set()
    numbers: dict[str, int] = {}
    names = []
    for name in ["a.txt", "A.TXT", "a.txt", "d.x/a", "D.X/A", "d/.env", "d/.ENV"]:
        names.append(unused_name(name, used, numbers))
        used.add(names[-1].casefold())
    assert names == ["a.txt", "A~2.TXT", "a~3.txt", "d.x/a", "D.X/A~2", "d/.env", "d/.ENV~2"]


def test_many_files_of_one_name_are_counted_once() -> None:
    """Not each of them from the first number on."""
    looks = 0

    class Used(set[str]):
        def __contains__(self, name: object) -> bool:
            nonlocal looks
            looks += 1
            return super().__contains__(name)

    used, numbers = Used(), dict[str, int]()
    for _ in range(1_000):
        used.add(unused_name("a.txt", used, numbers).casefold())
    assert (len(used), "a~1000.txt" in used) == (1_000, True)
    assert looks <= 2_100


class Blob:
    """Takes blocks as the service does: ids of one length, committed in the order that is named."""

    def __init__(self) -> None:
        self.blocks: dict[str, bytes] = {}
        self.content: bytes | None = None
        self.settings: dict[str, Any] = {}

    def stage_block(self, block_id: str, data: bytes) -> None:
        assert len({len(block) for block in [*self.blocks, block_id]}) == 1
        assert len(data) <= 4 * 1024 * 1024
        self.blocks[block_id] = data

    def commit_block_list(self, blocks: list[Any], **settings: Any) -> None:
        self.content = b"".join(self.blocks[block.id] for block in blocks)
        self.settings = settings

    def published(self) -> list[bytes]:
        return [] if self.content is None else [self.content]


def written(files: list[tuple[str, list[bytes]]], stored: list[str] | None = None) -> bytes:
    """Return the zip of these files; `stored` gets the names that they have in it."""
    blob = Blob()
    target = BlockWriter(blob)  # type: ignore[arg-type]
    with Archive.writing(target) as archive:
        for name, pieces in files:
            placed = archive.add(name, datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC), pieces)
            if stored is not None:
                stored.append(placed)
    assert blob.published() == [], "nothing is published before the end"
    target.commit(content_type="application/zip", metadata={"made": "here"})
    (content,) = blob.published()
    assert len(content) == target.size
    return content


def test_a_zip_reads_back(tmp_path: Path) -> None:
    files = [("a.txt", [b"one ", b"two"]), ("empty", []), ("../A.TXT", [b"three"]), ("big", [b"x" * 5_000_000] * 3)]
    with zipfile.ZipFile(io.BytesIO(written(files))) as zip_file:
        assert zip_file.testzip() is None
        assert zip_file.namelist() == ["a.txt", "empty", "A~2.TXT", "big"]
        assert zip_file.read("a.txt") == b"one two"
        assert zip_file.read("big") == b"x" * 15_000_000
        assert zip_file.getinfo("a.txt").date_time == (2026, 1, 2, 3, 4, 6)
        zip_file.extractall(tmp_path / "out")
    assert not (tmp_path / "A.TXT").exists()


@given(st.lists(st.text("aA/b.", min_size=1, max_size=7), min_size=1, max_size=12))
@example(["x", "x/y.txt"])
@example(["x/y.txt", "x", "X/z"])
@example(["a", "a/b", "A/c", "a~2"])
def test_whatever_the_names_all_files_can_be_extracted(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    files = [(name, [str(number).encode()]) for number, name in enumerate(names)]
    folder = tmp_path_factory.mktemp("extracted")
    with zipfile.ZipFile(io.BytesIO(written(files))) as zip_file:
        stored = zip_file.namelist()
        zip_file.extractall(folder)
    contents = {path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert contents == {str(number) for number in range(len(names))}
    every = {name.casefold() for name in stored}
    parents = {parent.casefold() for name in stored for parent in map(str, PurePosixPath(name).parents)} - {"."}
    assert len(every) == len(names)
    assert not every & parents, "no file is another's folder, upper or lower case"


#: What names are made of, and where systems differ.
PIECES = [
    *(".", "..", "/", "a", "A", "b", " ", "~2", ".txt", "con", "NUL", "e\u0301", "\u00e9", "\u00c9", "\u1e9e", "ss"),
    *("x" * 90, ":", "\\", "\u202e", "\n", "\ud800"),
]
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def is_portable(name: str) -> bool:
    """Whether every system can have a file of this name."""
    printable = all(character.isprintable() and character not in '<>:"|?*\\' for character in name)
    return (
        printable
        and len(name.encode()) <= 200
        and all(part and part[-1] not in " ." for part in name.split("/"))
        and not any(part.partition(".")[0].rstrip().lower() in DEVICES for part in name.split("/"))
    )


def names_in_headers(content: bytes) -> list[str]:
    """Read the names as a program does that does not look at the directory at the end."""
    names = []
    with zipfile.ZipFile(io.BytesIO(content)) as zip_file:
        for entry in zip_file.infolist():
            flags, length = (int.from_bytes(content[entry.header_offset + at :][:2], "little") for at in (6, 26))
            name = content[entry.header_offset + 30 :][:length]
            assert flags & 0x800 or name.isascii(), "others would take it for the encoding of their own system"
            names.append(name.decode())
    return names


@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join), min_size=1, max_size=8))
@example([".profile", "conf/.env", ".a.b", "..a"])
@example(["e\u0301.txt", "\u00e9.txt", "\u00c9.TXT"])
@example(["a", "a.", "a ", "./a", "A"])
def test_a_name_comes_out_as_it_went_in_or_is_told(names: list[str]) -> None:
    stored: list[str] = []
    content = written([(name, []) for name in names], stored)
    with zipfile.ZipFile(io.BytesIO(content)) as zip_file:
        assert zip_file.namelist() == stored == names_in_headers(content)
    assert all(map(is_portable, stored))
    files: set[str] = set()
    folders: dict[str, str] = {}
    for name, placed in zip(names, stored, strict=True):
        above = [path for path in map(str, PurePosixPath(name).parents) if path != "."]
        is_free = folded(name) not in files | folders.keys()
        if (
            is_portable(name)
            and is_free
            and all(folded(path) not in files and folders.get(folded(path), path) == path for path in above)
        ):
            assert placed == name
        assert folded(placed) not in files | folders.keys(), "another one on some system"
        files.add(folded(placed))
        folders |= {folded(path): path for path in map(str, PurePosixPath(placed).parents) if path != "."}


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def test_an_old_time_is_the_oldest_that_a_zip_can_hold() -> None:
    blob = Blob()
    with Archive.writing(BlockWriter(blob)) as archive:  # type: ignore[arg-type]
        archive.add("a", datetime(1970, 1, 1, tzinfo=UTC), [])


def test_an_exception_publishes_nothing() -> None:
    blob = Blob()
    target = BlockWriter(blob)  # type: ignore[arg-type]

    def broken() -> Any:
        yield b"one"
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), Archive.writing(target) as archive:
        archive.add("a", datetime.now(UTC), broken())
    assert blob.published() == []
