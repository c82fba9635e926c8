"""Streams zip files into a blob, with names that are safe to extract anywhere."""

from __future__ import annotations

import base64
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError

if TYPE_CHECKING:
    from typing import IO

    from azure.storage.blob import BlobClient

_BLOCK = 4 * 1024 * 1024
_MAX_NAME_BYTES = 200
_ZIP_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
#: Reserved by some system, or invisible: a name may look like another one.
_UNSAFE = re.compile(
    r'[\x00-\x1f<>:"|?*\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f'
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_WINDOWS_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]) *(\.|$)")


#: Writers of blocks of one blob, in order, each with the number of its blocks.
type Staged = Sequence[tuple[str, int]]


class BlockWriter:
    """A write-only file over one new blob: uploads blocks of 4 MiB, and the blob appears with `commit`.

    The service drops uncommitted blocks within a week. Blocks of two writers never mix, even under the same name: the
    first commit counts.

    Parameters
    ----------
    staged
        What `stage` of an earlier writer to the same blob has returned: this one continues there.
    """

    def __init__(self, blob: BlobClient, *, staged: Staged = ()) -> None:
        self._blob = blob
        self._writer = uuid4().hex
        self._buffer = bytearray()
        self._earlier = list(staged)
        self._blocks = [_block_id(writer, number) for writer, count in staged for number in range(count)]
        self._own = 0
        self.size = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        self.size += len(data)
        while len(self._buffer) >= _BLOCK:
            self._stage(bytes(self._buffer[:_BLOCK]))
            del self._buffer[:_BLOCK]
        return len(data)

    def stage(self) -> Staged:
        """Upload what is left, and return which blocks there are: for each writer, how many."""
        if self._buffer:
            self._stage(bytes(self._buffer))
            self._buffer.clear()
        return [*self._earlier, (self._writer, self._own)] if self._own else self._earlier

    def flush(self) -> None:
        """Do nothing: `commit` writes the rest."""

    def commit(self, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        """Publish the blob. Raises `ResourceExistsError`, and changes nothing, if the blob exists already."""
        from azure.storage.blob import BlobBlock, ContentSettings

        self.stage()
        try:
            self._blob.commit_block_list(
                [BlobBlock(block_id=block) for block in self._blocks],
                content_settings=ContentSettings(content_type=content_type),
                metadata=dict(metadata or {}),
                match_condition=MatchConditions.IfMissing,
            )
        except ResourceExistsError:
            # after a lost reply the client retries, and then finds its own blob
            committed, _ = self._blob.get_block_list("committed")
            if [block.id for block in committed] != self._blocks:
                raise

    def _stage(self, data: bytes) -> None:
        block = _block_id(self._writer, self._own)
        self._blob.stage_block(block, data)
        self._blocks.append(block)
        self._own += 1


def _block_id(writer: str, number: int) -> str:
    # all block ids of a blob have the same length, at most 64 bytes
    return base64.b64encode(f"{writer}{number:08}".encode()).decode()


class Archive:
    """A zip file that is written sequentially, with one piece in memory at a time."""

    def __init__(self, zip_file: zipfile.ZipFile) -> None:
        self._zip = zip_file
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        #: Names of files and folders, in one set: merging two for each file would be slow.
        self._taken: set[str] = set()
        #: The last number used for each name, so that numbering many files of one name takes linear time.
        self._numbers: dict[str, int] = {}

    @classmethod
    @contextmanager
    def writing(cls, target: BlockWriter) -> Iterator[Archive]:
        """Write the archive's directory at the end of the block, unless it raises."""
        # without a tell method, zipfile writes sizes after each entry instead of seeking back
        zip_file = zipfile.ZipFile(cast("IO[bytes]", target), "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        yield cls(zip_file)
        zip_file.close()

    def add(self, name: str, modified: datetime, pieces: Iterable[bytes]) -> str:
        """Add one file and return its name in the archive: the given one, unless it is not safe or not unique."""
        name = self._place(safe_name(name))
        entry = zipfile.ZipInfo(name, max(modified.astimezone(UTC), _ZIP_EPOCH).timetuple()[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        with self._zip.open(entry, "w", force_zip64=True) as out:
            for piece in pieces:
                out.write(piece)
        return name

    def _place(self, name: str) -> str:
        """Return the name, changed if it or one of its folders would collide with another name on some system."""
        *folders, last = name.split("/")
        parent = ""
        for folder in folders:
            wanted = parent + folder
            key = _key(wanted)
            if key not in self._folders:
                self._folders[key] = unused_name(wanted, self._files, self._numbers)
                self._taken.add(_key(self._folders[key]))
            # folders that only such systems consider equal become one
            parent = f"{self._folders[key]}/"
        placed = unused_name(parent + last, self._taken, self._numbers)
        self._files.add(_key(placed))
        self._taken.add(_key(placed))
        return placed


def safe_name(name: str) -> str:
    """Return a relative path that every unzip tool on every system extracts inside its folder: this name if it is one.

    At most 200 bytes of UTF-8; never empty.
    """
    parts = []
    for part in name.replace("\\", "/").split("/"):
        # Windows drops dots and spaces at the end
        part = _UNSAFE.sub("_", part.encode("utf-8", "replace").decode()).rstrip(" .")
        if part:
            parts.append(f"_{part}" if _WINDOWS_DEVICES.match(part) else part)
    whole = "/".join(parts) or "unnamed"
    short = _shorten(whole, _MAX_NAME_BYTES)
    return short if short == whole else safe_name(short)


def safe_file_name(name: str) -> str:
    """Return a name of one file that every system accepts, like `safe_name` but without folders."""
    return safe_name(name.replace("\\", "_").replace("/", "_"))


def unused_name(name: str, used: set[str], numbers: dict[str, int]) -> str:
    """Return the name, with `~2`, `~3` before its suffix if some system would consider it used.

    `numbers` stores the last number for the next call with the same name.
    """
    stem, dot, suffix = name.rpartition(".")
    if not _has_stem(stem) or "/" in suffix:
        stem, dot, suffix = name, "", ""
    candidate = name
    while _key(candidate) in used:
        number = numbers[_key(name)] = numbers.get(_key(name), 1) + 1
        tail = f"~{number}{dot}{suffix}"
        candidate = _shorten(stem, _MAX_NAME_BYTES - len(tail.encode())) + tail
    return candidate


def _key(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode form, which some systems ignore."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _shorten(name: str, limit: int) -> str:
    if len(name.encode()) <= limit:
        return name
    stem, dot, suffix = name.rpartition(".")
    if dot and len(suffix.encode()) <= 16 and "/" not in suffix and _has_stem(stem):
        room = limit - len(suffix.encode()) - 1
        return _cut(stem, room) + dot + suffix
    return _cut(name, limit)


def _has_stem(stem: str) -> bool:
    """Return whether what precedes the last dot is a name, not just a folder: `.env` is not a suffix."""
    return bool(stem) and not stem.endswith("/")


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode("utf-8", "ignore").rstrip(" ./")
