"""Describes values of any kind in errors: briefly, and whatever they are."""

from __future__ import annotations

import reprlib


class _Brief(reprlib.Repr):
    """Limits depth and length, since the text of a nested or shared value can be endless."""

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python refuses to write out thousands of digits
            return f"<int of {x.bit_length():,} bits>"


_brief = _Brief(maxlevel=3, maxstring=100, maxother=100)


def describe(value: object) -> str:
    """Return a text of a few hundred characters; never raises."""
    try:
        return _brief.repr(value)
    except Exception:  # noqa: BLE001 (a class may claim to be a list, and raise anything)
        return f"<{type(value).__name__}>"
