"""The colours of `css/tokens.css`: a change that makes a text hard to read fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.fork import theme
from scripts.fork.theme import contrast

TOKENS = Path(__file__).resolve().parents[3] / theme.TOKENS


def colours(scheme: int) -> dict[str, str]:
    return theme.colours(TOKENS.read_text(), scheme)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(scheme: int) -> None:
    assert theme.weak_pairs(colours(scheme)) == []


def test_contrast_is_measured() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert len(colours(0)) == len(colours(1)) >= 14


def test_only_the_theme_has_colours() -> None:
    """So that a fork changes one file."""
    found = [
        f"{sheet.name}: {colour}"
        for sheet in TOKENS.parent.glob("*.css")
        if sheet != TOKENS
        for colour in re.findall(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\([^)]*\)", sheet.read_text())
    ]
    assert found == []
