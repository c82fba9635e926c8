"""The command scripts/audit: known holes in dependencies and in our own code, and a list of what is inside."""

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
#: What is deployed is looked at first, what only tests use as well.
LOCKS = ("functions", "infra", "local", "test")
#: A release of July 2025 with published advisories: a source that does not know them knows nothing.
KNOWN_HOLE = "pyjwt==2.12.1"
NOT_CHECKED = "NOT CHECKED"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks; 0 if none found anything. What could not be checked is told loudly, and fails with --strict."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=__doc__)
    parser.add_argument(
        "--strict", action="store_true", help="fail too where advisories cannot be reached, as CI should"
    )
    parser.add_argument("--sbom", type=Path, metavar="PATH", help="write what is deployed as a CycloneDX document")
    options = parser.parse_args(arguments)
    if options.sbom is not None and not options.sbom.absolute().parent.is_dir():
        parser.error(f"--sbom {options.sbom}: there is no folder {options.sbom.parent}: make it, or name another one")
    code = bandit()
    told = dependencies()
    for line in told:
        print(f"audit    | {line}", flush=True)
    if any(options.strict or NOT_CHECKED not in line for line in told):
        code = 1
    if options.sbom is not None:
        write_sbom(options.sbom)
        print(f"audit    | wrote {options.sbom}", flush=True)
    return code


def bandit() -> int:
    """Run bandit over our own code; it fails from medium severity on."""
    # B104 is ruff's S104, where the one place that means it is marked
    command = [sys.executable, "-m", "bandit", "-q", "-ll", "--skip", "B104", "-r", *CODE]
    return subprocess.run(command, cwd=ROOT).returncode


def dependencies() -> list[str]:
    """Return a line for each dependency with a known hole, or one that says that nobody could be asked."""
    if not _knows_holes():
        return [
            f"{NOT_CHECKED}: the advisories that pip-audit asks for are not reachable here, or answer that they know "
            "nothing. Whether a dependency has a known hole is UNKNOWN. Run scripts/audit --strict with open internet."
        ]
    found: list[str] = []
    for name in LOCKS:
        finished = _pip_audit("--strict", "--disable-pip", "--require-hashes", "-r", f"locks/{name}.txt")
        found += [f"locks/{name}.txt: {line}" for line in holes(finished.stdout)]
        if finished.returncode != 0 and not found:
            found.append(f"{NOT_CHECKED}: pip-audit failed on locks/{name}.txt: {finished.stderr.strip()[-300:]}")
    return found


def holes(report: str) -> list[str]:
    """Return a line for each hole in a JSON report of pip-audit."""
    try:
        entries = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return []
    return [
        f"{entry['name']} {entry['version']} has {hole['id']}; fixed in: {', '.join(hole['fix_versions']) or 'nothing'}"
        for entry in entries
        for hole in entry.get("vulns", [])
    ]


def _knows_holes() -> bool:
    """Tell whether advisories are reachable: pip-audit says `no known vulnerabilities` also where it learnt nothing."""
    probe = ROOT / ".local" / "audit-probe.txt"
    probe.parent.mkdir(exist_ok=True)
    probe.write_text(f"{KNOWN_HOLE}\n")
    return bool(holes(_pip_audit("--no-deps", "--disable-pip", "-r", str(probe)).stdout))


def _pip_audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    return subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)


def write_sbom(path: Path) -> None:
    """Write a CycloneDX document of what is deployed: the locked Python packages and the vendored files of the page."""
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
