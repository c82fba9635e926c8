"""Keeps secrets and unstorable characters out of texts that are stored, shown or logged."""

from __future__ import annotations

import re

_SECRETS = re.compile(
    r"""(?ix)
    (?P<name>
        (?:\bsig|AccountKey|AccessKey|SharedAccessKey|SharedAccessSignature|password|passwd|pwd|secret|token
           |api[_-]?key|functions-key)
        ["']?\s*[=:]\s*
      | \b(?:Bearer|Basic|SharedKey)\s+
      | ://[^/\s:@]*:(?=[^/\s]+@)
      | (?=\beyJ[\w-]{8,}\.[\w-]+\.)
    )
    (?P<value>"[^"]*" | '[^']*' | [^\s"'&;,<>]+(?=@[\w.-]+(?:[:/?\s]|$)) | [^\s"'&;,<>@]+)
    """
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def masked(text: str) -> str:
    """Replace what looks like a credential with `***`."""
    return _SECRETS.sub(lambda found: f"{found['name']}***", text)


def storable(text: str, limit: int) -> str:
    """Return text that Postgres takes and a terminal survives, at most `limit` characters, credentials masked.

    Control and bidirectional-override characters and lone surrogates become U+FFFD; line breaks and tabs stay.
    """
    clean = _CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))
    clean = masked(clean.encode("utf-8", "replace").decode("utf-8"))
    return clean if len(clean) <= limit else clean[: limit - 1] + "\u2026"
