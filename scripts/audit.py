"""The `scripts/audit` command: known vulnerabilities in dependencies, a scan of our own code, and an SBOM."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ("queued_jobs", "functions", "infra", "scripts", "tools")
#: Deployed dependencies first, then the dependencies of the tests.
LOCKS = ("functions", "infra", "local", "test")
#: A release with published advisories since July 2025: a source without them is not usable.
KNOWN_HOLE = "pyjwt==2.12.1"
NOT_CHECKED = "NOT CHECKED"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks; return 0 if nothing was found. Checks that could not run are reported, and fail with --strict."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="also fail if advisories cannot be fetched; for CI")
    parser.add_argument(
        "--sbom", type=Path, metavar="PATH", help="write the deployed dependencies as a CycloneDX document"
    )
    options = parser.parse_args(arguments)
    if options.sbom is not None and not options.sbom.absolute().parent.is_dir():
        parser.error(
            f"--sbom {options.sbom}: the folder {options.sbom.parent} does not exist; create it, or choose another one"
        )
    code = bandit()
    lines = dependencies()
    for line in lines:
        print(f"audit    | {line}", flush=True)
    if any(options.strict or NOT_CHECKED not in line for line in lines):
        code = 1
    if options.sbom is not None:
        write_sbom(options.sbom)
        print(f"audit    | wrote {options.sbom}", flush=True)
    return code


def bandit() -> int:
    """Run bandit over our own code; it fails from medium severity on."""
    # B104 is ruff's S104, which is checked there
    command = [sys.executable, "-m", "bandit", "-q", "-ll", "--skip", "B104", "-r", *CODE]
    return subprocess.run(command, cwd=ROOT).returncode


def dependencies() -> list[str]:
    """Return a line per vulnerable dependency, or one that says that advisories are not reachable."""
    if not _has_advisories():
        return [
            f"{NOT_CHECKED}: the advisories of pip-audit are not reachable, or their source is empty. Whether a "
            "dependency has a known vulnerability is UNKNOWN. Run scripts/audit --strict with internet access."
        ]
    found: list[str] = []
    for name in LOCKS:
        finished = _pip_audit("--strict", "--disable-pip", "--require-hashes", "-r", f"locks/{name}.txt")
        found += [f"locks/{name}.txt: {line}" for line in vulnerabilities(finished.stdout)]
        if finished.returncode != 0 and not found:
            found.append(f"{NOT_CHECKED}: pip-audit failed on locks/{name}.txt: {finished.stderr.strip()[-300:]}")
    return found


def vulnerabilities(report: str) -> list[str]:
    """Return a line per vulnerability in a JSON report of pip-audit."""
    try:
        entries = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return []
    return [
        f"{entry['name']} {entry['version']} has {found['id']}; fixed in: {', '.join(found['fix_versions']) or 'none'}"
        for entry in entries
        for found in entry.get("vulns", [])
    ]


def _has_advisories() -> bool:
    """Return whether advisories are reachable: without them pip-audit too says `no known vulnerabilities`."""
    probe = ROOT / ".local" / "audit-probe.txt"
    probe.parent.mkdir(exist_ok=True)
    probe.write_text(f"{KNOWN_HOLE}\n")
    return bool(vulnerabilities(_pip_audit("--no-deps", "--disable-pip", "-r", str(probe)).stdout))


def _pip_audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)


def write_sbom(path: Path) -> None:
    """Write a CycloneDX document of the deployment: the locked Python packages and the page's vendored files."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "locks/functions.txt", "--output-format", "JSON"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    document = json.loads(finished.stdout)
    for entry in json.loads((ROOT / "web" / "vendor" / "manifest.json").read_text()):
        document.setdefault("components", []).append(
            {
                "type": "library",
                "bom-ref": f"npm:{entry['name']}",
                "name": entry["name"],
                "version": entry["version"],
                "purl": f"pkg:npm/{re.sub('^@', '%40', entry['name'])}@{entry['version']}",
                "licenses": [{"license": {"id": entry["license"]}}],
                "hashes": [{"alg": "SHA-256", "content": entry["sha256"]}],
            }
        )
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
