"""The deployment package: a reproducible zip with the function app and its dependencies."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The function app's platform, which determines its runtime, the packages and their shared objects.
PYTHON_VERSION: Final = "3.13"
PLATFORM: Final = "x86_64-manylinux_2_28"

ROOT: Final = Path(__file__).resolve().parents[2]
DEFAULT_OUTPUT: Final = ROOT / ".local" / "package" / "app.zip"
#: Folder of the worker's packages, below the folder of host.json.
SITE_PACKAGES: Final = ".python_packages/lib/site-packages"
#: File with the version of the app's code.
VERSION_FILE: Final = "code_version.txt"

_LOCK = ROOT / "locks" / "functions.txt"
_NOT_FOR_AZURE = ("__pycache__", "local.settings*.json", "*.py[co]", ".*", "*.pem", "*.key", "*.pfx", "*.p12", "*.md")
_SERVED = (".html", ".js", ".css", ".svg", ".txt")
#: Records of the installation: they differ between machines, and are not read at run time.
_INSTALLERS_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_*.json")
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can store
_MODE = 0o100644


class PackageError(Exception):
    """The package cannot be built; the message has the reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A built package. `sha256` is the digest of the zip file, `version` that of its inputs; both in hexadecimal.

    The zip contains its version, so that an app can report its code. It cannot contain its own digest.
    """

    path: Path
    sha256: str
    version: str


def build(output: Path, *, python_version: str = PYTHON_VERSION) -> Bundle:
    """Write the package to `output`, or keep the existing one if nothing has changed.

    The build is reproducible: the same sources and lock lead to the same bytes on any machine, except that another zlib
    may compress differently, which causes one needless deployment. Packages come from the package registry, or from
    uv's cache. An interrupted build leaves no partial package. Raises `PackageError`.
    """
    if output.suffix != ".zip":
        raise PackageError(f"{output} is not a valid package name; use one that ends in .zip.")
    try:
        return _build(output, python_version)
    except OSError as error:
        raise PackageError(
            f"{error.filename or output}: {error.strerror}; restore missing files of the checkout, "
            "or write the package to another path."
        ) from error


def _build(output: Path, python_version: str) -> Bundle:
    own = {name: path.read_bytes() for name, path in _own_files()}  # read once: the files may be edited later
    inputs = _digest_of_inputs(own, python_version)
    stamp = output.with_suffix(".json")
    finished = _finished(output, stamp, inputs)
    if finished is not None:
        return finished
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="package-", dir=output.parent) as name:
        packages = Path(name) / "site-packages"
        _install(packages, python_version)
        part = Path(name) / output.name
        _write_zip(part, own | {VERSION_FILE: inputs.encode()}, dict(_installed_files(packages)))
        sha256 = hashlib.sha256(part.read_bytes()).hexdigest()
        part.replace(output)
    stamp.write_text(json.dumps({"inputs": inputs, "sha256": sha256}) + "\n")
    return Bundle(path=output, sha256=sha256, version=inputs)


def _own_files() -> Iterator[tuple[str, Path]]:
    """Yield the sources with their names in the zip, whose root is `functions/`."""
    for path in _files(ROOT / "functions"):
        yield path.relative_to(ROOT / "functions").as_posix(), path
    for path in _files(ROOT / "queued_jobs"):
        yield path.relative_to(ROOT).as_posix(), path
    for path in _files(ROOT / "web"):
        if path.suffix in _SERVED:
            yield path.relative_to(ROOT).as_posix(), path


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if any(path.match(pattern) for pattern in _NOT_FOR_AZURE) or path.name == "node_modules":
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _installed_files(packages: Path) -> Iterator[tuple[str, Path]]:
    for path in packages.rglob("*"):
        relative = path.relative_to(packages)
        if path.is_dir() or relative.parts[0] in ("bin", ".lock") or "__pycache__" in relative.parts:
            continue  # scripts there contain the path of this machine's Python
        if relative.parts[0].endswith(".dist-info") and any(path.match(pattern) for pattern in _INSTALLERS_NOTES):
            continue
        yield f"{SITE_PACKAGES}/{relative.as_posix()}", path


def _digest_of_inputs(own: dict[str, bytes], python_version: str) -> str:
    digest = hashlib.sha256(f"{python_version} {PLATFORM} {zlib.ZLIB_RUNTIME_VERSION}".encode())
    inputs = {**own, "the lock": _LOCK.read_bytes(), "this program": Path(__file__).read_bytes()}
    for name, content in sorted(inputs.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _finished(output: Path, stamp: Path, inputs: str) -> Bundle | None:
    """Return the existing package, unless it was built from other inputs or is damaged."""
    try:
        made = json.loads(stamp.read_text())
        sha256 = hashlib.sha256(output.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None
    is_it = made == {"inputs": inputs, "sha256": sha256}
    return Bundle(path=output, sha256=sha256, version=inputs) if is_it else None


def _install(packages: Path, python_version: str) -> None:
    """Install the locked packages for the target: uv evaluates environment markers for it, not for this machine."""
    target = ["--python-version", python_version, "--python-platform", PLATFORM, "--only-binary", ":all:"]
    command = [_uv(), "pip", "install", "--python", sys.executable, "--target", str(packages), *target]
    environment = {**_system_certificates(), **os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    finished = subprocess.run(
        [*command, "--no-deps", "--require-hashes", "-r", str(_LOCK)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise PackageError(
            f"The packages of locks/{_LOCK.name} cannot be installed for Python {python_version} on {PLATFORM}. "
            f"uv said:\n{finished.stderr.strip()}\n"
            "Check that the package registry can be reached, or renew the lock with scripts/lock."
        )


def _system_certificates() -> dict[str, str]:
    """Let uv trust this machine's certificate authorities, since an index may be behind a proxy."""
    places = ssl.get_default_verify_paths()
    listed = any(os.path.exists(place or "") for place in (places.cafile, places.capath))
    return {"UV_SYSTEM_CERTS": "true"} if listed else {}


def _uv() -> str:
    found = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        raise PackageError("uv, which builds the package, is not installed; run pip install uv, then try again.")
    return found


def _write_zip(target: Path, own: dict[str, bytes], packages: dict[str, Path]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted([*own, *packages]):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.create_system = 3  # always Unix, so that the file mode is used
            entry.external_attr = _MODE << 16
            archive.writestr(entry, own[name] if name in own else packages[name].read_bytes(), zipfile.ZIP_DEFLATED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the package and print its properties. Returns 1, and prints the reason, if it cannot be built."""
    parser = argparse.ArgumentParser(prog="scripts/package", description=__doc__)
    parser.add_argument(
        "output", nargs="?", type=Path, default=DEFAULT_OUTPUT, help="path of the zip (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        bundle = build(options.output.resolve())
    except PackageError as error:
        print(f"package  | {error}", file=sys.stderr)
        return 1
    with zipfile.ZipFile(bundle.path) as archive:
        files = len(archive.namelist())
    size = bundle.path.stat().st_size / 1e6
    print(f"package  | {bundle.path}: {size:.1f} MB, {files} files, for Python {PYTHON_VERSION} on {PLATFORM}")
    print(f"package  | version {bundle.version}, as reported by the app's /api/health")
    print(f"package  | sha256 {bundle.sha256}, after {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
