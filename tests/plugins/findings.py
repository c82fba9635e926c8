"""What tests note for a reader, beside passing: the attacks that were tried, and (with -v) what noticed each mutant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

#: Where the table of attacks is left.
WRITTEN = Path(__file__).resolve().parents[2] / "test-results" / "attacks.md"
_ATTACK = "attack"
_CAUGHT = "caught"


class Attacks:
    """What a test tried, and what was answered: rows for the table of attacks."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def note(self, row: str, tried: str, answers: Sequence[object]) -> None:
        kinds = ", ".join(sorted({str(answer) for answer in answers}))
        self._item.user_properties.append((_ATTACK, [row, tried, len(answers), kinds]))


@pytest.fixture
def attacks(request: pytest.FixtureRequest) -> Attacks:
    return Attacks(request.node)


@pytest.fixture
def note_catch(request: pytest.FixtureRequest) -> Any:
    """Takes what noticed a mutant."""
    return lambda text: request.node.user_properties.append((_CAUGHT, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    noted: list[tuple[str, str, Any]] = [
        (report.nodeid, name, value)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
    ]
    attacks = sorted(
        (value for _, name, value in noted if name == _ATTACK), key=lambda value: (int(value[0][1:]), value[1])
    )
    if attacks:
        _write_attacks(terminalreporter, attacks)
    if config.get_verbosity() >= 1:
        for nodeid, name, value in noted:
            if name == _CAUGHT:
                terminalreporter.write_line(f"{nodeid}: {value}")


def _write_attacks(terminalreporter: pytest.TerminalReporter, rows: Sequence[Sequence[object]]) -> None:
    table = ["| row | tried | inputs | answers |", "|---|---|---|---|"]
    table += [f"| {row} | {tried} | {count} | {kinds} |" for row, tried, count, kinds in rows]
    WRITTEN.parent.mkdir(exist_ok=True)
    WRITTEN.write_text("\n".join(table) + "\n")
    terminalreporter.section("attacks")
    for line in table:
        terminalreporter.write_line(line)
