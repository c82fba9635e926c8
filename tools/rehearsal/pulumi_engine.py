"""Pulumi's engine: the one on PATH, or one that is built once from its Go modules and kept for all checkouts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.project import OLDEST_PULUMI

FOLDER = Path(__file__).resolve().parent
MODULE = FOLDER / "engine"
LANGUAGE_HOST = FOLDER / "plugins" / "language"
PROGRAM = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
#: Beside the engine, from the same release: the starter of Python programs, and the runner of dynamic resources.
HELPERS = ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python")
OLDEST_GO = (1, 21)  # older versions cannot download the toolchain that the engine requires
_USUAL_GO = Path("/usr/local/go/bin/go")

Say = Callable[[str], None]


class EngineMissing(Exception):
    """There is no engine, and it cannot be built; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`path` is what PATH needs for the engine and its helpers. An installed language host goes before ours."""

    program: Path
    version: str
    path: tuple[Path, ...]


def find_or_build(say: Say, environment: Mapping[str, str] = os.environ) -> Engine:
    """Return the engine. Building takes minutes, once for each version of it. Raises EngineMissing."""
    found = find(say, environment)
    if found is not None:
        return found
    folder = cache_folder(environment)
    with only_one(folder, say):
        if not (folder / "pulumi").exists():
            _build(folder, say, environment)
    return _built(folder)


def find(say: Say, environment: Mapping[str, str] = os.environ) -> Engine | None:
    """Return the engine that is on PATH or was built before; None if it would have to be built."""
    installed = shutil.which("pulumi", path=environment.get("PATH"))
    if installed is not None:
        version = _version(Path(installed))
        if _numbers(version) >= OLDEST_PULUMI:
            return Engine(program=Path(installed), version=version, path=(Path(installed).parent, LANGUAGE_HOST))
        say(f"ignoring {installed}: it is {version}, and {'.'.join(map(str, OLDEST_PULUMI))} is needed")
    folder = cache_folder(environment)
    return _built(folder) if (folder / "pulumi").exists() else None


def _built(folder: Path) -> Engine:
    program = folder / "pulumi"
    return Engine(program=program, version=_version(program), path=(folder, LANGUAGE_HOST))


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where the engine is kept: another folder for each version of it, the same for all checkouts of a user."""
    return folder_of(MODULE, "engine", environment)


def folder_of(module: Path, name: str, environment: Mapping[str, str]) -> Path:
    """Return where what is built from this Go module is kept."""
    digest = hashlib.sha256()
    for file in (module / "go.mod", module / "go.sum"):
        digest.update(file.read_bytes())
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".cache")
    return Path(home) / "queued-jobs" / f"{name}-{digest.hexdigest()[:16]}"


def _build(folder: Path, say: Say, environment: Mapping[str, str]) -> None:
    go = find_go(environment)
    release = _release()
    say(f"building Pulumi's engine {release} with {go}, once: about 8 minutes, 2 GB of memory, 5 GB of Go caches ...")
    started = time.monotonic()
    flags = ["-trimpath", "-buildvcs=false", "-p", "2", "-tags", "osusergo,grpcnotrace"]
    stamp = f"-s -w -X {SDK}/go/common/version.Version={release}"
    with tempfile.TemporaryDirectory(prefix="engine-", dir=folder.parent) as name:
        part = Path(name)
        run_go(
            go, environment, "build", "-mod=readonly", *flags, "-ldflags", stamp, "-o", str(part / "pulumi"), PROGRAM
        )
        sdk = Path(run_go(go, environment, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK).strip())
        for helper in HELPERS:
            shutil.copy(sdk / helper, part / Path(helper).name)
            (part / Path(helper).name).chmod(0o755)
        # in a temporary folder that is renamed at the end: an interrupted build leaves nothing
        finished = part.with_name(f"{folder.name}.part")
        shutil.rmtree(finished, ignore_errors=True)
        shutil.copytree(part, finished)
        finished.rename(folder)
    say(f"built the engine in {time.monotonic() - started:.0f} s, kept in {folder}")


def run_go(
    go: Path, environment: Mapping[str, str], *arguments: str, module: Path = MODULE, what: str = "Pulumi's engine"
) -> str:
    """Run `go` in that module, and return its output. Raises `EngineMissing`."""
    nice = shutil.which("nice", path=environment.get("PATH"))
    finished = subprocess.run(
        [*([nice] if nice else []), str(go), *arguments],
        cwd=module,
        env={**environment, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        output = "".join(f"\n    {line}" for line in finished.stderr.splitlines()[-20:])
        raise EngineMissing(
            f"{what} cannot be built from its Go modules. This needs a module proxy (GOPROXY), 5 GB of disk and 2 GB "
            f"of memory; or install it yourself, and put it on PATH. `go {arguments[0]}` printed:{output}"
        )
    return finished.stdout


def find_go(environment: Mapping[str, str]) -> Path:
    """Return a Go that can download the toolchain that a module requires. Raises `EngineMissing`."""
    on_path = shutil.which("go", path=environment.get("PATH"))
    found = [Path(on_path)] if on_path else []
    found += [_USUAL_GO] if _USUAL_GO.exists() else []
    reasons = []
    for go in found:
        ran = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/")
        if _numbers(ran.stdout) >= OLDEST_GO:
            return go
        reasons.append(f"{go} is {ran.stdout.strip() or 'broken'}")
    raise EngineMissing(
        f"There is neither pulumi {'.'.join(map(str, OLDEST_PULUMI))} or newer on PATH, nor a Go toolchain "
        f"to build it with ({'; '.join(reasons) or 'no go on PATH'}). Install pulumi, or Go "
        f"{'.'.join(map(str, OLDEST_GO))} or newer (Debian 12's is too old) in /usr/local/go or on PATH."
    )


def _release() -> str:
    match = re.search(r"^\s*github\.com/pulumi/pulumi/pkg/v3 (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise EngineMissing(f"{MODULE / 'go.mod'} does not name a release of the engine; restore it")
    return match[1]


def _version(program: Path) -> str:
    ran = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "broken"


def _numbers(version: str) -> tuple[int, ...]:
    match = re.search(r"(?<!\d)(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


@contextmanager
def only_one(folder: Path, say: Say, name: str = "engine") -> Iterator[None]:
    """Let only one process of this user build that."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock_file = (folder.parent / f"{name}.lock").open("w")
    except OSError as error:
        raise EngineMissing(
            f"The engine is kept in {folder.parent}, which cannot be written ({error.strerror}): "
            "set XDG_CACHE_HOME to a writable folder."
        ) from error
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that builds the {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _print(line: str) -> None:
    print(f"engine   | {line}", flush=True)


if __name__ == "__main__":
    try:
        find_or_build(_print)
    except EngineMissing as missing:
        _print(str(missing))
        sys.exit(2)
