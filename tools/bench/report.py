"""Medians, ratios and their spread, as text and as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from tools.bench.counts import Counts
from tools.bench.rounds import Sample

#: Others are compared with it, round by round.
FLOOR = "naked"


def describe_machine() -> str:
    """Return what the numbers depend on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, load {load:.1f} at the end"


def to_markdown(samples: Sequence[Sample], counts: Sequence[Counts], *, jobs: int) -> str:
    """Return tables of the results."""
    rounds = max(len(_of(samples, one.subject, one.in_flight)) for one in samples)
    lines = [
        f"{describe_machine()}. Medians of {rounds} rounds of {jobs:,} jobs, in brackets the smallest and the largest.",
        "",
        f"| subject | in flight | jobs per second | against `{FLOOR}` | CPU per job, us |",
        "|---|---|---|---|---|",
    ]
    for subject, in_flight in dict.fromkeys((one.subject, one.in_flight) for one in samples):
        own = _of(samples, subject, in_flight)
        ratios = [
            one.per_second / floor.per_second for one, floor in zip(own, _of(samples, FLOOR, in_flight), strict=False)
        ]
        lines.append(
            f"| {subject} | {in_flight} | {_spread([one.per_second for one in own], ',.0f')} "
            f"| {_spread(ratios, '.2f')} | {_spread([one.cpu_us for one in own], ',.0f')} |"
        )
    lines += ["", "| in flight | round trips per job | statements | pushes |", "|---|---|---|---|"]
    lines += [f"| {one.in_flight} | {one.round_trips:.2f} | {one.statements:.2f} | {one.posts:.2f} |" for one in counts]
    return "\n".join(lines) + "\n"


def _of(samples: Sequence[Sample], subject: str, in_flight: int) -> list[Sample]:
    return [one for one in samples if (one.subject, one.in_flight) == (subject, in_flight)]


def _spread(values: Sequence[float], style: str) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):{style}} ({min(values):{style}} to {max(values):{style}})"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
