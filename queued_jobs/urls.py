"""Checks URLs in settings, which end up in requests, in headers and in content security policies."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_LAST_PORT = 65_535
#: Scheme, host, port and path only: anything else, such as a password, would be visible to every browser.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]+))?"
    r"(?P<path>/[^\s?#\\]*)?"
)
#: The values of `sslmode` in a Postgres connection string.
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
#: Entra's shared issuers for several tenants: no token names them as its issuer.
_NO_TENANT = re.compile(r"https://login\.microsoftonline\.com/(common|organizations|consumers)(/.*)?")


def is_port(text: str) -> bool:
    return re.fullmatch("[1-9][0-9]{0,4}", text) is not None and int(text) <= _LAST_PORT


def is_address(text: str) -> bool:
    """Return whether it is an http or https URL without user, query and fragment."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and (found["port"] is None or is_port(found["port"]))


def is_safe(address: str) -> bool:
    """Return whether it is an https URL, or an http URL on this machine."""
    found = _ADDRESS.fullmatch(address) if is_address(address) else None
    return found is not None and (found["scheme"] == "https" or found["host"] in _LOOPBACK)


def is_origin(text: str) -> bool:
    """Return whether it is a URL without a path."""
    return is_address(text) and "/" not in text.partition("://")[2]


def names_no_tenant(issuer: str) -> bool:
    """Return whether it is an Entra URL for all tenants instead of the issuer of one tenant."""
    return _NO_TENANT.fullmatch(issuer) is not None


def is_conninfo(text: str) -> bool:
    """Return whether libpq accepts this connection string. Its own error could repeat the password."""
    try:
        parts = conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeEncodeError):
        return False
    ports = [port for port in str(parts.get("port", "")).split(",") if port]  # one port per host
    return parts.get("sslmode", "prefer") in TLS_MODES and all(map(is_port, ports))


def checks_server(conninfo: str) -> bool:
    """Return whether connections use TLS and verify the server's certificate and host name."""
    return conninfo_to_dict(conninfo).get("sslmode") == "verify-full"
