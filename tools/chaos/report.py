"""The report of a run: JSON for programs, Markdown and a plot for people."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tools.chaos.audit import Audit
from tools.chaos.plot import draw

MAX_PROBLEMS = 50


def write_report(audit: Audit, folder: Path) -> Path:
    """Write schedule.json, report.json, report.md and report.svg, and return the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    audit.plan.write(folder / "schedule.json")
    document = {
        "passed": audit.passed,
        "seed": audit.plan.seed,
        "scenario": audit.plan.scenario,
        "problems": audit.problems,
        "numbers": audit.numbers,
        "recoveries": [asdict(one) for one in audit.recoveries],
        "progress": audit.progress,
        "inflicted": [[one.fault.describe(), one.began, one.ended] for one in audit.inflicted],
    }
    (folder / "report.json").write_text(json.dumps(document) + "\n")
    (folder / "report.svg").write_text(draw(audit))
    path = folder / "report.md"
    path.write_text("\n".join(describe(audit)) + "\n")
    return path


def describe(audit: Audit) -> list[str]:
    """Return the lines of the Markdown report."""
    plan = audit.plan
    verdict = "passed" if audit.passed else f"FAILED with {len(audit.problems)} problems"
    faults = Counter(one.fault.describe() for one in audit.inflicted)
    return [
        f"# Chaos run {plan.seed}: {verdict}",
        "",
        f"Scenario `{plan.scenario}`, {plan.jobs} jobs in {plan.seconds:g} s, {plan.processes} processes.",
        "Repeat it: `./scripts/chaos --schedule schedule.json`, with the file beside this one.",
        "",
        "![Jobs, faults and recoveries over time](report.svg)",
        "",
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {_text(value)} |" for name, value in audit.numbers.items()),
        "",
        "Faults: " + ", ".join(f"{count} x {name}" for name, count in faults.most_common()) + ".",
        *(["", "## Problems", ""] if audit.problems else []),
        *(f"- {problem}" for problem in audit.problems[:MAX_PROBLEMS]),
    ]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in sorted(value.items())) or "none"
    if isinstance(value, list):
        return " / ".join("none" if one is None else str(one) for one in value)
    return str(value)
