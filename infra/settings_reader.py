"""Reads the keys of a stack's configuration, and collects what is wrong with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Any, Final

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from infra.forms import is_public_ipv4, why_no_email, why_no_origin
from queued_jobs.redact import masked
from queued_jobs.urls import is_address, names_no_tenant

#: Of Pulumi itself and of the providers that the program uses.
_OTHER_NAMESPACES: Final = ("azure-native", "pulumi", "random")


class ConfigError(pulumi.RunError):
    """The stack's configuration is incomplete or unsafe; one line for each problem: key, reason, remedy."""


class SettingsReader:
    """Collects every problem, so that they are mended in one go."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._known: set[str] = set()
        self._problems: list[str] = []

    def refuse(self, key: str, reason: str, remedy: str) -> None:
        self._problems.append(f"{key}: {reason}; {remedy}.")

    def finish(self) -> None:
        """Raise `ConfigError` if there was a problem, such as a key that nobody read."""
        self._refuse_unknown_keys()
        if self._problems:
            raise ConfigError(
                "The configuration of this stack does not allow a deployment:\n" + "\n".join(self._problems)
            )

    def text(self, key: str) -> str:
        self._known.add(key)
        return (self._config.get(key) or "").strip()

    def one_of(self, key: str, choices: tuple[str, ...], *, default: str) -> str:
        value = self.text(key) or default
        if value in choices:
            return value
        self.refuse(key, f"{value!r} is not known", f"use {' or '.join(filter(None, choices))}")
        return default

    def matching(self, key: str, pattern: re.Pattern[str], remedy: str) -> str:
        value = self.text(key)
        if not value:
            self.refuse(key, "is missing", remedy)
        elif not pattern.fullmatch(value):
            self.refuse(key, f"{value!r} is not one", remedy)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.typed(key, self._config.get_bool, "set true or false")
        return default if value is None else value

    def number(self, key: str) -> int:
        return self.typed(key, self._config.get_int, "set a whole number") or 0

    def thing(self, key: str, remedy: str) -> Any:
        """Return a list or an object, None where there is none."""
        return self.typed(key, self._config.get_object, remedy)

    def address(self, key: str) -> str | None:
        value = self.text(key)
        if value and not is_public_ipv4(value):
            reason = f"{value!r} is no IPv4 address of the internet"
            self.refuse(key, reason, "set the one that the internet sees you with, or none")
        return value or None

    def issuer(self, key: str) -> str:
        value = self.text(key)
        remedy = "copy `issuer` from the provider's metadata"
        if not value:
            self.refuse(key, "is missing", remedy)
        elif not (is_address(value) and value.startswith("https:")):
            self.refuse(key, f"{masked(value)!r} is no https address", remedy)
        elif names_no_tenant(value):
            self.refuse(key, f"{value!r} names no tenant, and no token has it", "put the tenant's id into it")
        return value

    def emails(self, key: str) -> tuple[str, ...]:
        remedy = 'set a list, as ["ops@example.com"]'
        return self._list(key, "is no list of mail addresses", why_no_email, remedy)

    def origins(self, key: str) -> tuple[str, ...]:
        remedy = 'set a list of exact origins, as ["https://intranet.example.com"]'
        reason = "is no list of exact https origins, so pages of strangers could call the API"
        return self._list(key, reason, why_no_origin, remedy)

    def _list(self, key: str, reason: str, why_not: Callable[[str], str | None], remedy: str) -> tuple[str, ...]:
        """Return the texts of a list. What keeps each of the others from being one of them is told at once."""
        values = self.thing(key, remedy) or []
        if not isinstance(values, list):
            self.refuse(key, reason, remedy)
            return ()
        problems = {str(one): why_not(one) if isinstance(one, str) else "is no text" for one in values}
        told = [f"{masked(one)!r} {why}" for one, why in problems.items() if why]
        if told:
            self.refuse(key, f"{reason}: {', '.join(told)}", remedy)
            return ()
        return tuple(values)

    def typed(self, key: str, read: Callable[[str], Any], remedy: str) -> Any:
        self._known.add(key)
        try:
            return read(key)
        except (pulumi.ConfigTypeError, ValueError):
            self.refuse(key, f"{self._config.get(key)!r} has the wrong type", remedy)
            return None

    def _refuse_unknown_keys(self) -> None:
        prefix = f"{self._config.name}:"
        everything = {*CONFIG.get(), *get_config_env()}
        given = {key.removeprefix(prefix) for key in everything if key.startswith(prefix)}
        for key in sorted(everything):
            namespace, _, name = key.partition(":")
            if namespace in (self._config.name, *_OTHER_NAMESPACES):
                continue
            # such as those of the template, in a project that has another name
            if name in self._known or difflib.get_close_matches(namespace, [self._config.name]):
                self.refuse(key, "is not read, so it would change nothing", f"write it as {prefix}{name}")
        for key in sorted(given - self._known):
            close = difflib.get_close_matches(key, self._known, n=1)
            remedy = f"take {close[0]}, if you meant that" if close else "remove it; Pulumi.yaml has all keys"
            self.refuse(key, "is not known, so it would change nothing", remedy)
