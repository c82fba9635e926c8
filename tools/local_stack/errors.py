"""The errors of the local run; each message says what is wrong, why, and what to do."""

from __future__ import annotations


class LocalRunError(Exception):
    """The local run cannot start or continue."""


class Missing(LocalRunError):
    """A program or an account that the local run needs is not on this machine."""


class StateInUse(LocalRunError):
    """Another run uses the state folder. The message names its process."""


class ServerFailed(LocalRunError):
    """A server could not be started, or ended unexpectedly. The message has its last lines of output."""


class Interrupted(Exception):
    """The run was interrupted while it waited for something."""

    def __init__(self) -> None:
        super().__init__("interrupted before the end")
