"""Texts of a request or result that are stored encrypted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import BeforeValidator, PlainSerializer, SecretStr

#: How each seal begins. What comes from outside must not: it would be opened.
SEAL_MARK = "sealed:1:"
_SHORTEST_KEY = 32

_ciphers: list[AESSIV] = []


def seal_with(keys: Sequence[str]) -> None:
    """Set the keys of this process, the newest first: that one seals, all of them open. Call it once, at the start.

    Each key is a secret text of at least 32 characters that every process of the application has. To replace one, put
    the new one first, and drop the old one when the jobs that it sealed are gone. Raises `ValueError` for a short one.
    """
    if any(len(key) < _SHORTEST_KEY for key in keys):
        raise ValueError(f"A key for sealing has less than {_SHORTEST_KEY} characters: make a longer one at random.")
    _ciphers[:] = [AESSIV(hashlib.sha512(key.encode()).digest()) for key in keys]


def _opened(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(SEAL_MARK):
        return value  # as the caller gives it, before it was ever stored
    try:
        sealed = base64.urlsafe_b64decode(value.removeprefix(SEAL_MARK))
    except (binascii.Error, ValueError):
        raise ValueError("is sealed, but damaged") from None
    for cipher in _ciphers:
        try:
            return cipher.decrypt(sealed, None).decode()
        except (InvalidTag, ValueError):
            continue
    raise ValueError("was sealed with a key that is not among those of seal_with")


def _sealed(value: SecretStr) -> str:
    if not _ciphers:
        raise ValueError("No key for sealing is set: call queued_jobs.seal_with when the process starts.")
    # the same text gives the same seal, so that a repeated request is seen to be the same
    sealed = _ciphers[0].encrypt(value.get_secret_value().encode(), None)
    return SEAL_MARK + base64.urlsafe_b64encode(sealed).decode()


#: The type of a text that only the job's body reads, by `get_secret_value()`: rows, pushes, pages, logs and exports
#: hold its seal (AES-SIV), and its `repr` hides it. Equal texts have equal seals. An empty text cannot be sealed.
Sealed = Annotated[SecretStr, BeforeValidator(_opened), PlainSerializer(_sealed, when_used="json")]
