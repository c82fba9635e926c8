"""Copies the browser builds of the packages that the page uses from npm into web/vendor, or checks the copies there.

python -m tools.docs_and_samples.vendor_web            # after a new version in web/package.json and its lock file
python -m tools.docs_and_samples.vendor_web --check    # compares the copies with the manifest, offline
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.local_stack.node import find_node

WEB = Path(__file__).resolve().parents[2] / "web"
VENDOR = WEB / "vendor"
MANIFEST = VENDOR / "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package, its file that the browser loads, and the files that refer to it."""

    name: str
    build: str
    stem: str
    suffix: str
    named_in: tuple[str, ...]

    def file(self, version: str) -> str:
        return f"{self.stem}-{version}{self.suffix}"


PACKAGES = (
    Package(
        name="@microsoft/signalr",
        build="dist/browser/signalr.min.js",
        stem="signalr",
        suffix=".min.js",
        named_in=("js/feed/signalr.js", "index.html"),
    ),
    Package(
        name="oauth4webapi", build="build/index.js", stem="oauth4webapi", suffix=".js", named_in=("js/sign-in/oidc.js",)
    ),
)


class VendorError(Exception):
    """The vendored copies do not match package.json or the manifest. The message has the remedy."""


def main() -> None:
    """Vendor or check; exit with code 1 and one line if something does not match."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs_and_samples.vendor_web", description="Vendor the page's packages from npm."
    )
    parser.add_argument(
        "--check", action="store_true", help="only compare the copies with their manifest and the lock file"
    )
    try:
        print(check() if parser.parse_args().check else vendor())
    except VendorError as error:
        sys.exit(str(error))


def check() -> str:
    """Return a line per vendored package. Raises VendorError if copy, manifest and lock file differ."""
    manifest = {entry["name"]: entry for entry in json.loads(MANIFEST.read_text())}
    if manifest.keys() != {package.name for package in PACKAGES}:
        raise VendorError(
            "web/vendor/manifest.json lists other packages; run python -m tools.docs_and_samples.vendor_web"
        )
    return "\n".join(_checked(package, manifest[package.name]) for package in PACKAGES)


def _checked(package: Package, entry: dict[str, str]) -> str:
    locked = _locked(package)
    for name in ("version", "integrity"):
        if entry[name] != locked[name]:
            raise VendorError(
                f"web/vendor/manifest.json has {name} {entry[name]}, web/package-lock.json has {locked[name]}: "
                "run python -m tools.docs_and_samples.vendor_web and commit web/vendor"
            )
    found = _sha256((VENDOR / entry["file"]).read_bytes())
    if found != entry["sha256"]:
        raise VendorError(
            f"web/vendor/{entry['file']} has sha256 {found}, but the manifest says {entry['sha256']}: "
            "the vendored copy was modified. Run python -m tools.docs_and_samples.vendor_web to restore it."
        )
    return f"{package.name} {entry['version']}: web/vendor/{entry['file']} matches the manifest"


def vendor() -> str:
    """Install what the lock file names in a temporary folder, copy the builds and write the manifest."""
    lines, manifest = [], []
    with tempfile.TemporaryDirectory() as folder:
        modules = install(Path(folder))
        for package in PACKAGES:
            locked = _locked(package)
            name = package.file(locked["version"])
            for old in VENDOR.glob(f"{package.stem}-*{package.suffix}"):
                old.unlink()
            shutil.copyfile(modules / package.name / package.build, VENDOR / name)
            manifest.append(
                {
                    "name": package.name,
                    "version": locked["version"],
                    "license": locked["license"],
                    "integrity": locked["integrity"],
                    "source": package.build,
                    "file": name,
                    "sha256": _sha256((VENDOR / name).read_bytes()),
                }
            )
            lines.append(f"wrote web/vendor/{name}: name it in {' and '.join(package.named_in)}")
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    return "\n".join(lines)


def install(folder: Path) -> Path:
    """Install the packages of web/package-lock.json below the folder, without running their scripts.

    Returns the folder of the packages. npm compares each download with the lock file's integrity.
    """
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(WEB / name, folder / name)
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    finished = subprocess.run([*_npm(), "ci", *options], cwd=folder, capture_output=True, text=True)
    if finished.returncode != 0:
        raise VendorError(f"npm ci failed in a copy of web/:\n{finished.stderr.strip()}")
    return folder / "node_modules"


def _npm() -> list[str]:
    on_path = shutil.which("npm")
    if on_path is not None:
        return [on_path]
    node = Path(find_node())
    return [str(node), str(node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _locked(package: Package) -> dict[str, str]:
    lock = json.loads((WEB / "package-lock.json").read_text())
    locked: dict[str, str] = lock["packages"][f"node_modules/{package.name}"]
    return locked


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
