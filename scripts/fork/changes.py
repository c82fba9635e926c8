"""A set of changes of files, applied completely or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.fork.errors import Refused


class Changes:
    """What files shall contain. Nothing is written before `apply`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[Path, str | None] = {}

    def read(self, name: str) -> str:
        """Return the text of a file as it will be. Raises Refused if it cannot be read."""
        path = self._root / name
        text = self._texts.get(path)
        if text is not None:
            return text
        try:
            return path.read_bytes().decode()  # keeps the ends of lines
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise Refused(f"{name} cannot be read: {reason}; restore it, then run the command again") from error

    def create(self, name: str, text: str) -> None:
        """Create a file. Raises Refused if it exists."""
        if os.path.lexists(self._root / name):
            raise Refused(f"{name} already exists; choose another name, or remove the file")
        self._texts[self._root / name] = text

    def write(self, name: str, text: str) -> None:
        """Replace the text of a file."""
        if text != self.read(name):
            self._texts[self._root / name] = text

    def delete(self, name: str) -> None:
        """Delete a file."""
        self._texts[self._root / name] = None

    @property
    def names(self) -> list[str]:
        """The files that will be changed, relative to the checkout."""
        return [path.relative_to(self._root).as_posix() for path in self._texts]

    @property
    def deleted(self) -> list[str]:
        """Those of them that will be gone."""
        return [path.relative_to(self._root).as_posix() for path, text in self._texts.items() if text is None]

    def apply(self) -> None:
        """Change all files; if one cannot be changed, none is. A Ctrl-C in the meantime is held back.

        Raises Refused with the reason.
        """
        made: list[Path] = []
        done: list[tuple[Path, Path | None]] = []
        with _without_interruption():
            try:
                with tempfile.TemporaryDirectory(prefix=".fork-", dir=self._root) as folder:
                    try:
                        parts = self._write_parts(Path(folder), made)
                        for number, (path, part) in enumerate(parts):
                            kept = Path(folder) / f"kept-{number}" if path.exists() else None
                            if kept is not None:
                                path.rename(kept)
                            done.append((path, kept))
                            if part is not None:
                                part.rename(path)
                    except BaseException:
                        _undo(done, made)
                        raise
            except OSError as error:
                place = error.filename or self._root
                raise Refused(f"{place} cannot be changed: {error.strerror}; nothing was changed") from error

    def _write_parts(self, folder: Path, made: list[Path]) -> list[tuple[Path, Path | None]]:
        """Write the new texts beside the checkout's files first: that is what takes time, and what may fail."""
        parts: list[tuple[Path, Path | None]] = []
        for number, (path, text) in enumerate(self._texts.items()):
            part = None
            if text is not None:
                part = folder / f"new-{number}"
                part.write_bytes(text.encode())
                if path.exists():
                    part.chmod(path.stat().st_mode & 0o777)
                missing = [parent for parent in path.parents if not parent.exists()]
                for parent in reversed(missing):
                    parent.mkdir()
                    made.append(parent)
            parts.append((path, part))
        return parts


def _undo(done: list[tuple[Path, Path | None]], made: list[Path]) -> None:
    for path, kept in reversed(done):
        if kept is not None:
            kept.replace(path)
        else:
            path.unlink(missing_ok=True)
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def _without_interruption() -> Iterator[None]:
    """Hold signals back that would end this process between two files; a Ctrl-C that comes too late is forgotten.

    Handlers do this, not a signal mask, which the other threads of the process would not have.
    """
    came: list[int] = []
    held = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {one: signal.signal(one, lambda number, _: came.append(number)) for one in held}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    for number in came:
        if number != signal.SIGINT:
            os.kill(os.getpid(), number)
