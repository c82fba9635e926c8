"""The colours of `css/tokens.css`: a change that makes a text hard to read fails here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[3] / "web" / "css" / "tokens.css"
PAIR = re.compile(r"--qj-([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
#: What is written, or drawn, in which colour on which.
READ = {
    "text": ("page", "surface", "subtle"),
    "muted": ("page", "surface", "subtle"),
    "accent": ("page", "surface", "subtle", "accent-soft"),
    "on-accent": ("accent", "bad"),
    "good": ("page", "surface"),
    "bad": ("page", "surface", "bad-soft"),
    "warn": ("page", "surface"),
}
SEEN = {"edge": ("page", "surface"), "accent": ("page", "surface")}


def colours(scheme: int) -> dict[str, str]:
    return {name: pair[scheme] for name, *pair in PAIR.findall(TOKENS.read_text())}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio as WCAG defines it, from 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_apart(scheme: int) -> None:
    known = colours(scheme)
    weak = [
        f"--qj-{front} on --qj-{back}: {contrast(known[front], known[back]):.2f}, at least {least}"
        for pairs, least in ((READ, 4.5), (SEEN, 3.0))
        for front, backs in pairs.items()
        for back in backs
        if contrast(known[front], known[back]) < least
    ]
    assert weak == []


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
