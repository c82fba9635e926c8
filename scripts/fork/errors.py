"""The error of the commands that change a fork."""

from __future__ import annotations


class Refused(Exception):
    """The command changes nothing; the message has the reason and the remedy."""
