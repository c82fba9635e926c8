"""Encrypted strings in requests and results."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import BeforeValidator, PlainSerializer, SecretStr

#: Prefix of each encrypted value. External input must not begin with it, since it would be decrypted.
SEAL_MARK = "sealed:1:"
_MIN_KEY_LENGTH = 32

_ciphers: list[AESSIV] = []


def seal_with(keys: Sequence[str]) -> None:
    """Set the encryption keys of this process, newest first: the first encrypts, all decrypt. Call it once at startup.

    Each key is a secret string of at least 32 characters, shared by all processes of the application. To rotate, put
    the new key first, and remove the old one once the jobs encrypted with it are gone. Raises `ValueError` for a
    shorter key.
    """
    if any(len(key) < _MIN_KEY_LENGTH for key in keys):
        raise ValueError(f"An encryption key has fewer than {_MIN_KEY_LENGTH} characters; generate a longer one.")
    _ciphers[:] = [AESSIV(hashlib.sha512(key.encode()).digest()) for key in keys]


def _decrypt(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(SEAL_MARK):
        return value  # the caller's plain text, not stored yet
    try:
        sealed = base64.urlsafe_b64decode(value.removeprefix(SEAL_MARK))
    except (binascii.Error, ValueError):
        raise ValueError("is encrypted, but damaged") from None
    for cipher in _ciphers:
        try:
            return cipher.decrypt(sealed, None).decode()
        except (InvalidTag, ValueError):
            continue
    raise ValueError("was encrypted with a key that was not passed to seal_with")


def _encrypt(value: SecretStr) -> str:
    if not _ciphers:
        raise ValueError("No encryption key is set; call queued_jobs.encryption.seal_with at startup.")
    # deterministic, so that a repeated request is recognised
    sealed = _ciphers[0].encrypt(value.get_secret_value().encode(), None)
    return SEAL_MARK + base64.urlsafe_b64encode(sealed).decode()


#: Type of a string that only the job's body reads, with `get_secret_value()`: rows, pushes, pages, logs and exports
#: hold it encrypted (AES-SIV), and its `repr` hides it. Equal strings have equal ciphertexts. Must not be empty.
Sealed = Annotated[SecretStr, BeforeValidator(_decrypt), PlainSerializer(_encrypt, when_used="json")]
