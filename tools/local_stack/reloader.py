"""Reloads the function app when its code is saved; the other servers keep running."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from tools.local_stack.process import ChildProcess, Emit
from tools.local_stack.stack import Stack

#: Files whose change matters to the running app. Those of the page are read at each request.
SUFFIXES = (".py", ".sql", ".json")
_SKIPPED = ("__pycache__", "web")

Marks = dict[Path, tuple[int, int]]


class Reloader:
    """Call `look` repeatedly, from the thread that started the stack.

    A save is noticed at the second look that finds the same files, since an editor may write several. The old code
    serves until a new process has imported the new one; it stays if that fails.
    """

    def __init__(self, stack: Stack, folders: Sequence[Path], emit: Emit, stop: Event) -> None:
        self._stack = stack
        self._folders = folders
        self._emit = emit
        self._stop = stop
        self._known = self._seen = self._marks()
        self._changed: list[Path] = []
        self._preparation: ChildProcess | None = None
        self._since = 0.0

    def look(self) -> None:
        """Notice saved files, and reload the app when the new code is ready."""
        marks = self._marks()
        if marks != self._seen:
            self._seen = marks  # perhaps not complete yet
        elif marks != self._known:
            self._changed = sorted(path for path in {*marks, *self._known} if marks.get(path) != self._known.get(path))
            self._known = marks
            self._load()
        elif self._preparation is not None:
            self._go_on(self._preparation)

    def close(self) -> None:
        """End what is being loaded."""
        self._stack.host.drop_successor()
        if self._preparation is not None:
            self._preparation.kill()
            self._preparation = None

    def _load(self) -> None:
        self.close()
        self._since = time.monotonic()
        for path in self._changed:
            if (problem := _syntax_error(path)) is not None:
                self._emit("dev", f"not reloaded, the code before still runs: {problem}")
                return
        self._stack.host.load_successor()
        self._preparation = self._stack.spawn_preparation()  # a new kind needs its queues

    def _go_on(self, preparation: ChildProcess) -> None:
        is_loaded = self._stack.host.successor_is_loaded()
        if is_loaded is None or preparation.exit_code not in (None, 0):
            self.close()
            self._emit(
                "dev", f"not reloaded, the code before still runs: {self._names()} cannot be imported, see above"
            )
        elif is_loaded and preparation.exit_code == 0:
            self._preparation = None
            self._stack.host.hand_over(self._stop)
            self._emit("dev", f"reloaded {self._names()} in {time.monotonic() - self._since:.1f} s")

    def _names(self) -> str:
        names = [path.name for path in self._changed]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

    def _marks(self) -> Marks:
        return dict(mark for folder in self._folders for mark in _marks_in(str(folder)))


def _marks_in(folder: str) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the files below a folder, with what a save changes."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # deleted in the meantime
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _SKIPPED and not entry.name.startswith("."):
                    yield from _marks_in(entry.path)
            elif entry.name.endswith(SUFFIXES) and not entry.name.startswith("."):
                status = entry.stat()
                yield Path(entry.path), (status.st_mtime_ns, status.st_size)
        except OSError:
            continue


def _syntax_error(path: Path) -> str | None:
    """Return the place and the reason if a module is not Python."""
    if path.suffix != ".py":
        return None
    try:
        compile(path.read_bytes(), str(path), "exec")
    except SyntaxError as error:
        return f"{path.name}, line {error.lineno}: {error.msg}"
    except ValueError as error:
        return f"{path.name}: {error}"
    except OSError:  # deleted: the import shows whether it is needed
        return None
    return None
