"""The plot of a run, as SVG: jobs over time, the faults below them, and how long each recovery took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tools.chaos.audit import Audit, Recovery
from tools.chaos.constants import RECOVERY_GOAL
from tools.chaos.fault import Inflicted

_WIDTH, _LEFT, _RIGHT = 900, 60, 20
_TOP, _JOBS, _FAULTS, _RECOVERY = 30, 180, 130, 130
_GAP = 40
_COLOURS = {"kill": "#c0392b", "drain": "#e67e22", "freeze": "#8e44ad", "network": "#2980b9"}
_OTHER = "#27ae60"
_ROWS = ("kill", "drain", "freeze", "network", "other")


def draw(audit: Audit) -> str:
    """Return the document."""
    span = max([audit.plan.seconds, *(at for at, _, _ in audit.progress)], default=1.0) or 1.0
    height = _TOP + _JOBS + _GAP + _FAULTS + _GAP + _RECOVERY + _GAP
    parts = [
        *_jobs(audit.progress, span),
        *_faults(audit.inflicted, span),
        *_recoveries(audit.recoveries, span),
        *_axis(span, height),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{_WIDTH}" height="{height}" fill="#fff"/>' + "".join(parts) + "</svg>\n"
    )


def _x(at: float, span: float) -> float:
    return round(_LEFT + at / span * (_WIDTH - _LEFT - _RIGHT), 1)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#333">{text}</text>'


def _jobs(progress: Sequence[tuple[float, int, int]], span: float) -> Iterator[str]:
    bottom = _TOP + _JOBS
    most = max((accepted for _, accepted, _ in progress), default=1) or 1
    yield _text(_LEFT, _TOP - 10, f"accepted (grey) and ended (green) jobs, up to {most}")
    for index, colour in ((1, "#7f8c8d"), (2, _OTHER)):
        points = " ".join(f"{_x(row[0], span)},{bottom - row[index] / most * _JOBS:.1f}" for row in progress)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    yield f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="#999"/>'


def _faults(inflicted: Sequence[Inflicted], span: float) -> Iterator[str]:
    top = _TOP + _JOBS + _GAP
    step = _FAULTS / len(_ROWS)
    for number, row in enumerate(_ROWS):
        yield _text(_LEFT - 6, top + (number + 0.7) * step, row, "end")
    for one in inflicted:
        fault = one.fault
        number = _ROWS.index(fault.name) if fault.name in _ROWS else len(_ROWS) - 1
        left = _x(one.began, span)
        width = max(2.0, _x(one.ended, span) - left)
        y = top + (number + 0.15) * step
        yield (
            f'<rect x="{left}" y="{y:.1f}" width="{width:.1f}" height="{0.7 * step:.1f}" '
            f'fill="{_COLOURS.get(fault.name, _OTHER)}"><title>{fault.describe()} at {one.began:g} s</title></rect>'
        )


def _recoveries(recoveries: Sequence[Recovery], span: float) -> Iterator[str]:
    bottom = _TOP + _JOBS + _GAP + _FAULTS + _GAP + _RECOVERY
    goal = RECOVERY_GOAL.total_seconds()
    most = max([goal, *(one.to_rescue for one in recoveries)])
    yield _text(_LEFT, bottom - _RECOVERY - 8, f"seconds from a kill to the rescue of its jobs; the line is {goal:g} s")
    line = bottom - goal / most * _RECOVERY
    yield f'<path d="M{_LEFT} {line:.1f}H{_WIDTH - _RIGHT}" stroke="#c0392b" stroke-dasharray="4 3"/>'
    for one in recoveries:
        y = bottom - one.to_rescue / most * _RECOVERY
        yield f'<circle cx="{_x(one.at, span)}" cy="{y:.1f}" r="2.5" fill="#2c3e50"/>'
    yield f'<path d="M{_LEFT} {bottom - _RECOVERY}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="#999"/>'


def _axis(span: float, height: float) -> Iterator[str]:
    step = next(step for step in (5, 10, 30, 60, 300, 600, 3600) if span / step <= 12 or step == 3600)
    for number in range(int(span // step) + 1):
        yield _text(_x(number * step, span), height - 15, f"{number * step} s", "middle")
