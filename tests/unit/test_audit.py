"""What scripts/audit tells, and what it does when nobody can be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import audit as audit

REPORT = {
    "dependencies": [
        {"name": "fine", "version": "1", "vulns": []},
        {"name": "pyjwt", "version": "2.12.1", "vulns": [{"id": "PYSEC-2026-176", "fix_versions": ["2.13.0"]}]},
        {"name": "skipped", "skip_reason": "not found"},
    ]
}


def test_vulnerabilities_are_reported_with_their_fix() -> None:
    assert audit.vulnerabilities(json.dumps(REPORT)) == ["pyjwt 2.12.1 has PYSEC-2026-176; fixed in: 2.13.0"]
    assert audit.vulnerabilities("") == []


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--strict"], 1)])
def test_what_was_not_checked_is_told_loudly(
    options: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "_has_advisories", lambda: False)
    monkeypatch.setattr(audit, "bandit", lambda: 0)
    assert audit.main(options) == code
    assert "NOT CHECKED" in capsys.readouterr().out


def test_a_hole_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "dependencies", lambda: ["pyjwt 2.12.1 has PYSEC-2026-176; fixed in: 2.13.0"])
    monkeypatch.setattr(audit, "bandit", lambda: 0)
    assert audit.main([]) == 1


def test_the_list_of_what_is_inside_names_packages_and_vendored_files(tmp_path: Path) -> None:
    audit.write_sbom(tmp_path / "sbom.json")
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert {"fastapi", "pyjwt", "@microsoft/signalr", "oauth4webapi"} <= {
        part["name"] for part in document["components"]
    }


def test_a_place_that_cannot_be_written_is_told_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        audit.main(["--sbom", "/nonexistent/sbom.json"])
    assert ended.value.code == 2
    assert "/nonexistent" in capsys.readouterr().err.splitlines()[-1]
