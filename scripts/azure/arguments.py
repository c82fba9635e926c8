"""What the options of the commands must look like, told before anything is asked or changed."""

from __future__ import annotations

from argparse import ArgumentTypeError

from infra.validators import is_email, is_public_ipv4, is_region, is_stack_name

#: Given in the place of a mail address or an IPv4 address.
NONE = "-"


def stack_name(text: str) -> str:
    if not is_stack_name(text):
        raise ArgumentTypeError(f"{text!r} cannot be a stack's name: take at most 40 of a-z, 0-9 and single dashes")
    return text


def region(text: str) -> str:
    if not is_region(text):
        raise ArgumentTypeError(f"{text!r} is no region: give a short name, as westeurope")
    return text


def email(text: str) -> str:
    if text != NONE and not is_email(text):
        raise ArgumentTypeError(f"{text!r} is no mail address: give one, or {NONE} for nobody")
    return text


def public_ipv4(text: str) -> str:
    if text != NONE and not is_public_ipv4(text):
        raise ArgumentTypeError(
            f"{text!r} is no IPv4 address that the internet could see you with: give one, or {NONE} for none"
        )
    return text
