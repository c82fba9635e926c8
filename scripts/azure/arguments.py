"""Validators for the options of the commands, which run before anything is asked or changed."""

from __future__ import annotations

from argparse import ArgumentTypeError

from infra.validators import is_email, is_public_ipv4, is_region, is_stack_name

#: Stands for no email address, or no IPv4 address.
NONE = "-"


def stack_name(text: str) -> str:
    if not is_stack_name(text):
        raise ArgumentTypeError(
            f"{text!r} is not a valid stack name; use at most 40 characters of a-z, 0-9 and single dashes"
        )
    return text


def region(text: str) -> str:
    if not is_region(text):
        raise ArgumentTypeError(f"{text!r} is not a valid region; use a short name such as westeurope")
    return text


def email(text: str) -> str:
    if text != NONE and not is_email(text):
        raise ArgumentTypeError(f"{text!r} is not a valid email address; enter one, or {NONE} for none")
    return text


def public_ipv4(text: str) -> str:
    if text != NONE and not is_public_ipv4(text):
        raise ArgumentTypeError(f"{text!r} is not a public IPv4 address; enter one, or {NONE} for none")
    return text
