"""Recognises secrets that someone could guess: placeholders, repetitions, sequences."""

from __future__ import annotations

import itertools
import re
from typing import Final

#: Words of documentation and of habit. Six characters at least: a random secret has none of them by chance.
_PLACEHOLDERS: Final = (
    *("changeme", "changethis", "changeit", "replaceme", "replacethis", "yoursecret", "yourinvite", "mysecret"),
    *("secret", "password", "passw0rd", "example", "placeholder", "default", "testtest", "invite", "letmein"),
    *("qwerty", "asdfgh", "zxcvbn", "foobar", "dontuse", "insecure", "xxxxxx"),
)
#: A random secret of 43 characters has about 30 distinct ones, one of 64 hexadecimal digits rarely fewer than 12.
_MIN_DISTINCT: Final = 10
#: Length of the pieces that must not come back often, and the share of them that must be distinct.
_PIECE: Final = 4
_MIN_NEW: Final = 0.75
#: The share of neighbours that may be equal or follow each other, as in 1234.
_MAX_IN_SEQUENCE: Final = 0.5


def is_guessable(secret: str) -> bool:
    """Return whether the secret is obviously not random. Only for secrets of at least 32 characters."""
    plain = re.sub("[^a-z0-9]", "", secret.lower())
    if len(set(secret)) < _MIN_DISTINCT or any(word in plain for word in _PLACEHOLDERS):
        return True
    pieces = [secret[start : start + _PIECE] for start in range(len(secret) - _PIECE + 1)]
    steps = [abs(ord(one) - ord(other)) for one, other in itertools.pairwise(secret)]
    in_sequence = sum(step <= 1 for step in steps)
    return len(set(pieces)) < _MIN_NEW * len(pieces) or in_sequence > _MAX_IN_SEQUENCE * len(steps)
