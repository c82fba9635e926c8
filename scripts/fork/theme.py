"""The colours of the client's theme: which are read on which, how well, and what follows from another accent."""

from __future__ import annotations

import re

from scripts.fork.errors import Refused

TOKENS = "web/css/tokens.css"
ICON = "web/favicon.svg"
PAIR = re.compile(r"^  --qj-([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", re.MULTILINE)
#: What is written in which colour on which, with this contrast at least.
READ = {
    "text": ("page", "surface", "subtle"),
    "muted": ("page", "surface", "subtle"),
    "accent": ("page", "surface", "subtle", "accent-soft"),
    "on-accent": ("accent", "bad"),
    "good": ("page", "surface"),
    "bad": ("page", "surface", "bad-soft"),
    "warn": ("page", "surface"),
}
MIN_READ = 4.5
#: What is drawn in which colour on which.
SEEN = {"edge": ("page", "surface"), "accent": ("page", "surface")}
MIN_SEEN = 3.0
_COLOUR = re.compile("#[0-9a-f]{6}")
_SOFT_LIGHT, _SOFT_DARK = 0.9, 0.78
_STEPS = 50


def colours(text: str, scheme: int) -> dict[str, str]:
    """Return the colours of the theme by name; scheme 0 is light, 1 dark."""
    return {name: pair[scheme] for name, *pair in PAIR.findall(text)}


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio as WCAG defines it, from 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [value / 255 for value in _channels(colour)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted([luminance(one), luminance(other)])
    return (lighter + 0.05) / (darker + 0.05)


def weak_pairs(known: dict[str, str]) -> list[str]:
    """Return the pairs of colours whose contrast is too low, with the number."""
    return [
        f"{front} on {back}: {contrast(known[front], known[back]):.2f}, at least {least}"
        for pairs, least in ((READ, MIN_READ), (SEEN, MIN_SEEN))
        for front, backs in pairs.items()
        for back in backs
        if contrast(known[front], known[back]) < least
    ]


def with_accent(text: str, accent: str) -> str:
    """Return the theme with this accent; a lighter one for the dark scheme is made from it.

    Raises Refused for what is not a colour, and for one that cannot be read.
    """
    accent = accent.lower()
    if not _COLOUR.fullmatch(accent):
        raise Refused(f"--accent {accent[:40]!r} is not a colour: use # and six hexadecimal digits, such as '#3f51c4'")
    light, dark = colours(text, 0), colours(text, 1)
    light |= {"accent": accent, "accent-soft": _mixed(accent, "#ffffff", _SOFT_LIGHT)}
    weak = weak_pairs(light)
    if weak:
        raise Refused(f"--accent {accent} is too pale to be read ({weak[0]}); use a darker colour")
    dark["accent-soft"] = _mixed(accent, dark["page"], _SOFT_DARK)
    for step in range(_STEPS + 1):
        dark["accent"] = _mixed(accent, "#ffffff", step / _STEPS)
        if not weak_pairs(dark):
            break
    else:
        raise Refused(f"--accent {accent} has no lighter form for the dark scheme; choose another colour")
    for name in ("accent", "accent-soft"):
        text = _replaced(text, name, light[name], dark[name])
    return text


def _replaced(text: str, name: str, light: str, dark: str) -> str:
    for found in PAIR.finditer(text):
        if found[1] == name:
            return f"{text[: found.start(2)]}{light}, {dark}{text[found.end(3) :]}"
    raise Refused(f"{TOKENS} does not define --qj-{name} as light-dark(#..., #...); restore it")


def _mixed(colour: str, other: str, share: float) -> str:
    mixed = (round(a + (b - a) * share) for a, b in zip(_channels(colour), _channels(other), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
