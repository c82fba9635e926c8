"""Searches documents that must not contain secrets for keys, passwords and connection strings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

_ENCRYPTED = "4dabf18193072939515e22adb298388d"  # the engine's mark for an encrypted value
_NAMES = re.compile(r"(?i)(password|passwd|secret|(access|account|shared|primary|secondary|master)_?key|sas_?token)$")
_VALUES = re.compile(
    r"(?i)(account|access|sharedaccess)key=|sharedaccesssignature|[?&]sig=|password=|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?<![\w-])eyJ[\w-]{10,}\.[\w-]{10,}\.|postgres(ql)?://[^\s/@:]+:[^\s/@]+@|[A-Za-z0-9+/]{86}=="
)
_CONNECTION = re.compile(r"(?i)connection_?string$")
#: The only connection string. Its key grants nothing if local authentication is off.
_TELEMETRY = re.compile(
    r"InstrumentationKey=[0-9a-f-]{36}(;(IngestionEndpoint|LiveEndpoint)=https://[^;]+|;ApplicationId=[0-9a-f-]{36})*;?"
)


def find_secrets(document: Any, *, known: Collection[str] = (), allowed: Collection[str] = ()) -> list[str]:
    """Return the paths of possible secrets in the document, without the secrets.

    `known` are secrets that are searched for verbatim; `allowed` are names of settings which may hold one.
    """
    return list(_find(document, "", "", known, allowed))


def _find(value: Any, path: str, name: str, known: Collection[str], allowed: Collection[str]) -> Iterator[str]:
    if isinstance(value, dict):
        if _ENCRYPTED in value:
            return
        setting = value.get("name")
        if isinstance(setting, str) and isinstance(value.get("value"), str):  # one application setting
            yield from _find(value["value"], f"{path}/{setting}", setting, known, allowed)
            return
        for key, each in value.items():
            yield from _find(each, f"{path}/{key}", key, known, allowed)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _find(each, f"{path}/{index}", name, known, allowed)
    elif isinstance(value, str) and name not in allowed:
        if any(secret in value for secret in known):
            yield f"{path} holds a token"
        elif _NAMES.search(name) and value not in ("", "[secret]"):
            yield f"{path} is called a secret and is not encrypted"
        elif _VALUES.search(value) or (
            "connectionstring" in name.lower().replace("_", "") and not _TELEMETRY.fullmatch(value)
        ):
            yield f"{path} holds a key, a password or a connection string"
