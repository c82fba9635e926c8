"""Copies the browser build of @microsoft/signalr from npm into web/vendor, or checks the copy that is there.

python -m scripts.vendor_web            # after a new version in web/package.json and its lock file
python -m scripts.vendor_web --check    # needs no network: does the copy equal what the manifest says?
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.local.node import find_node

WEB = Path(__file__).resolve().parents[1] / "web"
VENDOR = WEB / "vendor"
MANIFEST = VENDOR / "manifest.json"
PACKAGE = "@microsoft/signalr"
BUILD = "dist/browser/signalr.min.js"


class VendorError(Exception):
    """The vendored copy and what was asked for do not fit. The message says how to mend it."""


def main() -> None:
    """Vendor or check; exit 1 with one line when something does not fit."""
    parser = argparse.ArgumentParser(prog="python -m scripts.vendor_web", description="Vendor the SignalR client.")
    parser.add_argument(
        "--check", action="store_true", help="only compare the copy with its manifest and the lock file"
    )
    try:
        print(check() if parser.parse_args().check else vendor())
    except VendorError as error:
        sys.exit(str(error))


def check() -> str:
    """Return a line that says what is vendored. Raises VendorError when copy, manifest and lock file differ."""
    manifest = json.loads(MANIFEST.read_text())
    locked = _locked()
    for name in ("version", "integrity"):
        if manifest[name] != locked[name]:
            raise VendorError(
                f"web/vendor/manifest.json has {name} {manifest[name]}, web/package-lock.json has {locked[name]}: "
                "run python -m scripts.vendor_web and commit web/vendor"
            )
    found = _sha256((VENDOR / manifest["file"]).read_bytes())
    if found != manifest["sha256"]:
        raise VendorError(
            f"web/vendor/{manifest['file']} has sha256 {found}, its manifest says {manifest['sha256']}: "
            "the copy was edited; run python -m scripts.vendor_web to get it again"
        )
    return f"{PACKAGE} {manifest['version']}: web/vendor/{manifest['file']} is the file of the manifest"


def vendor() -> str:
    """Install what the lock file names in a temporary folder, copy the build and write the manifest."""
    locked = _locked()
    name = f"signalr-{locked['version']}.min.js"
    with tempfile.TemporaryDirectory() as folder:
        build = install(Path(folder)) / BUILD
        for old in VENDOR.glob("signalr-*.min.js"):
            old.unlink()
        shutil.copyfile(build, VENDOR / name)
    manifest = {
        "name": PACKAGE,
        "version": locked["version"],
        "license": locked["license"],
        "integrity": locked["integrity"],
        "source": BUILD,
        "file": name,
        "sha256": _sha256((VENDOR / name).read_bytes()),
    }
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    return f"wrote web/vendor/{name}: name it in web/js/signalr.js and web/index.html"


def install(folder: Path) -> Path:
    """Install the packages of web/package-lock.json below the folder, without running their scripts.

    Returns the folder of the SignalR package. npm compares each download with the lock file's integrity.
    """
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copyfile(WEB / name, folder / name)
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    finished = subprocess.run([*_npm(), "ci", *options], cwd=folder, capture_output=True, text=True)
    if finished.returncode != 0:
        raise VendorError(f"npm ci failed in a copy of web/:\n{finished.stderr.strip()}")
    return folder / "node_modules" / PACKAGE


def _npm() -> list[str]:
    on_path = shutil.which("npm")
    if on_path is not None:
        return [on_path]
    node = Path(find_node())
    return [str(node), str(node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _locked() -> dict[str, str]:
    lock = json.loads((WEB / "package-lock.json").read_text())
    package: dict[str, str] = lock["packages"][f"node_modules/{PACKAGE}"]
    return package


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
