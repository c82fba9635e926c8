"""The folder with the data, the secrets, the ports and the lock of the local run."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.local_stack.errors import LocalRunError, StateInUse

#: An in-memory file system, on Linux.
IN_MEMORY = Path("/dev") / "shm"
#: Bytes that must be free there: the most that a few concurrent servers use in a long run.
MIN_ROOM = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Created once for a state folder, so that links and sessions stay valid from one run to the next."""

    invite: str
    admin_invite: str
    session: str
    hub_key: str


def memory_folder(folder: Path) -> Path | None:
    """Return the folder if it is writable and has room; None means the usual temporary folder on a disk.

    On a disk most of what a new database of a test costs is the disk's file system: hundreds of files come and go.
    """
    try:
        has_room = shutil.disk_usage(folder).free >= MIN_ROOM
    except OSError:
        return None
    return folder if has_room and os.access(folder, os.W_OK | os.X_OK) else None


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Create a temporary folder, in memory if there is room; it is deleted at the end."""
    with tempfile.TemporaryDirectory(
        prefix="queued-jobs-", ignore_cleanup_errors=True, dir=memory_folder(IN_MEMORY)
    ) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the account of Postgres must be able to enter it
        yield folder


class State:
    """One state folder, created if missing; its files with secrets are readable by their owner only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def azurite(self) -> Path:
        return self.folder / "azurite"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder for this process, until the block or the process ends. Raises StateInUse."""
        path = self.folder / "lock"
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StateInUse(
                    f"{self.folder} is in use by process {holder}, another scripts/dev; stop that one first "
                    f"(Ctrl-C in its terminal, or kill {holder})"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def clear(self) -> None:
        """Delete everything but the lock, which must be held."""
        for entry in self.folder.iterdir():
            if entry.name == "lock":
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def secrets(self) -> Secrets:
        """Return the folder's secrets, created at the first call. Raises LocalRunError for a damaged file."""
        path = self.folder / "secrets.json"
        if not path.exists():
            made = Secrets(
                invite=secrets.token_urlsafe(32),
                admin_invite=secrets.token_urlsafe(32),
                session=secrets.token_urlsafe(48),
                hub_key=secrets.token_urlsafe(48),
            )
            write_private(path, json.dumps(asdict(made), indent=2) + "\n")
        try:
            return Secrets(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise LocalRunError(f"{path} is damaged ({error}); delete it, or run scripts/dev --reset") from error

    def ports(self) -> dict[str, list[int]]:
        """Return the ports of each server in the last run; none if their file is missing or damaged."""
        try:
            kept: dict[str, list[int]] = json.loads(self._ports_file.read_text())
            valid = all(0 < port < 65536 for ports in kept.values() for port in ports)
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
        return kept if valid else {}

    def keep_ports(self, ports: Mapping[str, Sequence[int]]) -> None:
        """Keep the ports of each server for the next run."""
        write_private(self._ports_file, json.dumps(ports, indent=2) + "\n")

    @property
    def _ports_file(self) -> Path:
        return self.folder / "ports.json"


def write_private(path: Path, text: str) -> None:
    """Write the text atomically, readable by the owner only."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
