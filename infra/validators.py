"""What texts of a configuration have to look like: for the program, and for the scripts that write one."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from queued_jobs.urls import is_port

#: In the sample stacks, in the place of somebody's object id.
NOBODY: Final = "00000000-0000-0000-0000-000000000000"

_MAX_STACK_NAME: Final = 40
_STACK_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REGION: Final = re.compile(r"[a-z0-9]+")
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
#: Addresses that nobody on the internet has; in rules of a firewall the first stands for all of Azure.
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


def is_stack_name(text: str) -> bool:
    """Tell whether names of resources can be made of it that no other stack of the project has.

    All but a-z, 0-9 and dashes is lost in them, so `Dev` and `dev` would have one resource group.
    """
    return len(text) <= _MAX_STACK_NAME and _STACK_NAME.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Tell whether it is the short name of a region, as westeurope."""
    return _REGION.fullmatch(text) is not None


def is_email(text: str) -> bool:
    return why_no_email(text) is None


def why_no_email(text: str) -> str | None:
    """Return what keeps it from being a mail address."""
    if any(character.isspace() for character in text):
        return "has a blank in it"
    user, at, host = text.rpartition("@")
    if not at or "@" in user:
        return "has not exactly one @"
    if not user:
        return "has nothing before the @"
    return None if "." in host and _HOST.fullmatch(host.lower()) else "has no domain after the @"


def why_no_origin(text: str) -> str | None:
    """Return what keeps it from being an origin of the web exactly as browsers write it, by https."""
    scheme, _, rest = text.partition("://")
    if "*" in text:
        return "has a wildcard"
    if scheme != "https":
        return "does not begin with https://"
    if found := re.search(r"[/?#\\@\s]", rest):
        return f"has more than a host and a port: {found[0]!r}"
    host, colon, port = rest.partition(":")
    if host != host.lower():
        return "has capitals, which browsers send as small letters"
    if not _HOST.fullmatch(host):
        return "has no host name"
    if colon and not is_port(port):
        return "has no port from 1 to 65535"
    return "names port 443, which browsers leave out" if port == "443" else None


def is_public_ipv4(text: str) -> bool:
    """Tell whether it is an IPv4 address by which the internet can know somebody."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not any(address in network for network in _INSIDE)
