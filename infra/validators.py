"""Checks of configuration values, for the program and for the scripts that write a configuration."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from queued_jobs.urls import is_port

#: Placeholder for an object id in the sample stacks.
PLACEHOLDER_OBJECT_ID: Final = "00000000-0000-0000-0000-000000000000"

_MAX_STACK_NAME: Final = 40
_STACK_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REGION: Final = re.compile(r"[a-z0-9]+")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
#: Addresses that are not public; in firewall rules the first means all of Azure.
_INSIDE: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    )
)


def is_reserved(domain: str) -> bool:
    """Return whether it is a domain for documentation (RFC 2606), such as those of the sample stacks."""
    return re.fullmatch(r"(.*\.)?example\.(com|net|org)", domain.lower()) is not None


def is_stack_name(text: str) -> bool:
    """Return whether it leads to names of resources that are unique in the project.

    Names keep only a-z, 0-9 and dashes, so `Dev` and `dev` would share a resource group.
    """
    return len(text) <= _MAX_STACK_NAME and _STACK_NAME.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Return whether it is the short name of a region, such as westeurope."""
    return _REGION.fullmatch(text) is not None


def is_email(text: str) -> bool:
    return why_no_email(text) is None


def why_no_email(text: str) -> str | None:
    """Return why it is not a valid email address, or None if it is."""
    if any(character.isspace() for character in text):
        return "contains white space"
    user, at, host = text.rpartition("@")
    if not at or "@" in user:
        return "does not have exactly one @"
    if not user:
        return "has nothing before the @"
    if "." not in host or not _HOST.fullmatch(host.lower()):
        return "has no domain after the @"
    return "is an address for examples, which receives no mail" if is_reserved(host) else None


def why_no_origin(text: str) -> str | None:
    """Return why it is not a valid https origin exactly as browsers send it, or None if it is."""
    scheme, _, rest = text.partition("://")
    if "*" in text:
        return "has a wildcard"
    if scheme != "https":
        return "does not begin with https://"
    if found := re.search(r"[/?#\\@\s]", rest):
        return f"has more than a host and a port: {found[0]!r}"
    host, colon, port = rest.partition(":")
    if host != host.lower():
        return "has upper-case letters, which browsers send in lower case"
    if not _HOST.fullmatch(host):
        return "has no host name"
    if colon and not is_port(port):
        return "has no port from 1 to 65535"
    return "names port 443, which browsers omit" if port == "443" else None


def why_no_tag(name: str, value: str) -> str | None:
    """Return why Azure would reject the tag for some type of resource, or None if it accepts it."""
    if not name:
        return "has no name"
    if len(name) > 128 or len(value) > 256:
        return "is longer than 128 characters, or its value than 256"
    if re.search(r"[<>%&\\?/\x00-\x1f]", name + value):
        return "contains one of <>%&\\?/ or a control character"
    return "begins with a name that Azure reserves" if re.match("(?i)azure|microsoft|windows", name) else None


def is_public_ipv4(text: str) -> bool:
    """Return whether it is a public IPv4 address."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not any(address in network for network in _INSIDE)
