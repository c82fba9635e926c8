"""The settings of a function app: host.json with its overrides, local.settings.json, and `%NAME%` in bindings."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tools.functions_host.errors import SettingsError

log = logging.getLogger("host.settings")

OVERRIDE_PREFIX = "AzureFunctionsJobHost__"
MINIMUM_POLLING_INTERVAL = timedelta(milliseconds=100)
DEVELOPMENT_POLLING_INTERVAL = timedelta(seconds=2)
DEFAULT_FUNCTION_TIMEOUT: timedelta | None = timedelta(minutes=30)
LONGEST_VISIBILITY_TIMEOUT = timedelta(days=7)

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d(?:\.\d{1,7})?)")
_PLACEHOLDER = re.compile(r"%([^%]+)%")
_QUEUE_KEYS = {
    name.lower(): name
    for name in (
        "batchSize",
        "newBatchThreshold",
        "maxPollingInterval",
        "visibilityTimeout",
        "maxDequeueCount",
        "messageEncoding",
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """`extensions.queues` of host.json; `visibility_timeout` is the delay after a failure, not the message lease."""

    batch_size: int
    new_batch_threshold: int
    max_polling_interval: timedelta
    visibility_timeout: timedelta
    max_dequeue_count: int
    base64: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """host.json as the host reads it; a `function_timeout` of None means unlimited."""

    function_timeout: timedelta | None
    route_prefix: str
    queues: QueueSettings


def parse_time_span(text: str) -> timedelta:
    """Read `[days.]hh:mm:ss[.fraction]`; anything else raises ValueError."""
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time span; use [days.]hh:mm:ss, for example 00:00:30 or 1.00:00:00")
    days, hours, minutes, seconds = match.groups()
    return timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def load_host_settings(app_dir: Path, environment: Mapping[str, str] = os.environ) -> HostSettings:
    """Read APP_DIR/host.json and `AzureFunctionsJobHost__a__b` overrides. Raises SettingsError; logs unknown keys.

    Keys are matched without regard to case, as the real host's configuration does.
    """
    path = app_dir / "host.json"
    values = _flatten(_read_json_object(path))
    for name, text in environment.items():
        if name.startswith(OVERRIDE_PREFIX):
            values[tuple(name.removeprefix(OVERRIDE_PREFIX).lower().split("__"))] = text
    reader = _Reader(values, str(path))
    if (version := values.get(("version",))) != "2.0":
        raise SettingsError(f'{path}: version is {version!r}; the v2 programming model needs "version": "2.0"')
    for key in values:
        if key[:2] == ("extensions", "queues") and (len(key) != 3 or key[2] not in _QUEUE_KEYS):
            log.warning("%s: %s is not a queue setting and is ignored", path, ".".join(key))
    prefix = reader.read("extensions.http.routePrefix", "api", _text)
    return HostSettings(
        function_timeout=reader.read("functionTimeout", DEFAULT_FUNCTION_TIMEOUT, _timeout),
        route_prefix=prefix.strip("/"),
        queues=_queue_settings(reader, environment),
    )


def apply_local_settings(app_dir: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Copy Values of APP_DIR/local.settings.json, if there is one, to the environment; existing variables win."""
    path = app_dir / "local.settings.json"
    if not path.exists():
        return
    document = _read_json_object(path)
    if document.get("IsEncrypted"):
        raise SettingsError(f'{path} is encrypted, which this host cannot read; set "IsEncrypted": false')
    values = document.get("Values", {})
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: Values must be an object of strings")
    for name, value in values.items():
        if not isinstance(value, str):
            raise SettingsError(
                f"{path}: the value of {name} must be a string, because it is passed as an environment variable"
            )
        environment.setdefault(name, value)


def resolve_placeholders(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replace each `%NAME%` by the app setting NAME; raises SettingsError if it does not exist."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise SettingsError(f"'%{match[1]}%' does not resolve to a value; set the app setting {match[1]}")
        return environment[match[1]]

    return _PLACEHOLDER.sub(value, text)


class _Reader:
    def __init__(self, values: Mapping[tuple[str, ...], Any], source: str) -> None:
        self._values = values
        self._source = source

    def read[T](self, key: str, default: T, convert: Callable[[Any], T]) -> T:
        value = self._values.get(tuple(key.lower().split(".")))
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as error:
            raise SettingsError(f"{self._source}: {key}: {error}") from None


def _queue_settings(reader: _Reader, environment: Mapping[str, str]) -> QueueSettings:
    def read[T](name: str, default: T, convert: Callable[[Any], T]) -> T:
        return reader.read(f"extensions.queues.{name}", default, convert)

    batch_size = read("batchSize", 16, _integer(1, 32))
    longest = read("maxPollingInterval", timedelta(minutes=1), _time_span(MINIMUM_POLLING_INTERVAL))
    if environment.get("AZURE_FUNCTIONS_ENVIRONMENT") == "Development":
        longest = min(longest, DEVELOPMENT_POLLING_INTERVAL)
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=read("newBatchThreshold", batch_size // 2 * (os.cpu_count() or 1), _integer(0)),
        max_polling_interval=longest,
        visibility_timeout=read("visibilityTimeout", timedelta(), _time_span(timedelta(), LONGEST_VISIBILITY_TIMEOUT)),
        max_dequeue_count=read("maxDequeueCount", 5, _integer(1)),
        base64=read("messageEncoding", True, _is_base64),
    )


def _integer(lowest: int, highest: int | None = None) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"{value!r} is not a whole number")
        if number < lowest or (highest is not None and number > highest):
            raise ValueError(f"{number} is out of range: {lowest} to {highest or 'any number'}")
        return number

    return convert


def _time_span(lowest: timedelta, highest: timedelta | None = None) -> Callable[[Any], timedelta]:
    def convert(value: Any) -> timedelta:
        span = parse_time_span(_text(value))
        if span < lowest or (highest is not None and span > highest):
            raise ValueError(f"{value!r} is out of range: {lowest} to {highest or 'any time'}")
        return span

    return convert


def _timeout(value: Any) -> timedelta | None:
    text = _text(value)
    return None if text == "-1" else _time_span(timedelta(seconds=1))(text)


def _is_base64(value: Any) -> bool:
    encoding = _text(value).lower()
    if encoding not in ("base64", "none"):
        raise ValueError(f"{value!r} is not known; use base64 or none")
    return encoding == "base64"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} must be a string")
    return value


def _flatten(document: Mapping[str, Any], parents: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    values: dict[tuple[str, ...], Any] = {}
    for name, value in document.items():
        key = (*parents, name.lower())
        values.update(_flatten(value, key) if isinstance(value, dict) else {key: value})
    return values


def _read_json_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing: a function app needs one in its folder") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold a JSON object")
    return document
