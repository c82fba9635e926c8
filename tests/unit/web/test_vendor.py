"""The vendored clients are the files that npm ships, and nothing else is fetched from a registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tools.docs_and_samples import vendor_web

NPM_SHA256 = {
    "signalr-10.0.11.min.js": "97e9b97e642a72e5a470917147a2bf79f86cad829a5c6786adb10614d248bb95",
    "oauth4webapi-3.8.8.js": "72a5f6d84416e92b659c6b8fd837c5fa38d44b7f2e18f91daa1fe57da677c7ad",
}


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of web/ that the vendor script works on."""
    shutil.copytree(vendor_web.WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    web = tmp_path / "web"
    monkeypatch.setattr(vendor_web, "WEB", web)
    monkeypatch.setattr(vendor_web, "VENDOR", web / "vendor")
    monkeypatch.setattr(vendor_web, "MANIFEST", web / "vendor" / "manifest.json")
    return web


def test_copies_are_the_files_of_npm() -> None:
    assert "10.0.11" in vendor_web.check()
    manifest = json.loads(vendor_web.MANIFEST.read_text())
    assert {entry["file"]: entry["sha256"] for entry in manifest} == NPM_SHA256


def test_edited_copy_is_found(web: Path) -> None:
    copy = web / "vendor" / "signalr-10.0.11.min.js"
    copy.write_bytes(copy.read_bytes() + b"\n")
    with pytest.raises(
        vendor_web.VendorError, match=r"signalr-.* [Rr]un python -m tools\.docs_and_samples\.vendor_web"
    ):
        vendor_web.check()


def test_new_lock_without_new_copy_is_found(web: Path) -> None:
    lock = web / "package-lock.json"
    lock.write_text(lock.read_text().replace('"version": "10.0.11"', '"version": "10.0.12"'))
    with pytest.raises(vendor_web.VendorError, match=r"manifest\.json has version 10\.0\.11"):
        vendor_web.check()


def test_client_is_loaded_under_its_name() -> None:
    files = {entry["name"]: entry["file"] for entry in json.loads(vendor_web.MANIFEST.read_text())}
    for package in vendor_web.PACKAGES:
        for user in package.named_in:
            assert f"vendor/{files[package.name]}" in (vendor_web.WEB / user).read_text(), user


def test_license_lies_beside_it() -> None:
    text = (vendor_web.VENDOR / "LICENSE-signalr.txt").read_text()
    assert text.startswith("The MIT License (MIT)\n\nCopyright (c) .NET Foundation and Contributors\n")
    assert "Filip Skokan" in (vendor_web.VENDOR / "LICENSE-oauth4webapi.txt").read_text()


def test_lock_names_no_registry() -> None:
    packages = json.loads((vendor_web.WEB / "package-lock.json").read_text())["packages"]
    assert len(packages) > 10
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name
    assert "omit-lockfile-registry-resolved=true" in (vendor_web.WEB / ".npmrc").read_text()
