"""What texts of a configuration have to look like: for the program, and for the scripts that write one."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

#: In the sample stacks, in the place of somebody's object id.
NOBODY: Final = "00000000-0000-0000-0000-000000000000"

_LONGEST_STACK_NAME: Final = 40
_STACK_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REGION: Final = re.compile(r"[a-z0-9]+")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
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
    return len(text) <= _LONGEST_STACK_NAME and _STACK_NAME.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Tell whether it is the short name of a region, as westeurope."""
    return _REGION.fullmatch(text) is not None


def is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def is_public_ipv4(text: str) -> bool:
    """Tell whether it is an IPv4 address by which the internet can know somebody."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not any(address in network for network in _INSIDE)
