"""What can stop the local run; each message is for the person at the terminal: the thing, the reason, the remedy."""

from __future__ import annotations


class LocalRunError(Exception):
    """The local run cannot start or cannot go on."""


class Missing(LocalRunError):
    """A program or an account that the local run needs is not on this machine."""


class StateInUse(LocalRunError):
    """Another run uses the state folder. The message names its process."""


class ServerFailed(LocalRunError):
    """A server could not be started, or ended by itself. The message holds its last lines of output."""


class Interrupted(Exception):
    """Somebody asked for the end while something was waited for."""

    def __init__(self) -> None:
        super().__init__("interrupted before the end")
