"""What can be wrong with an app before it runs, and what can go wrong in one invocation."""

from __future__ import annotations


class HostError(Exception):
    """The app cannot be started; the text names the thing, the reason and the remedy."""


class SettingsError(HostError):
    """host.json, local.settings.json or an app setting is missing or wrong."""


class FunctionLoadError(HostError):
    """A function breaks a rule that the Python worker or the host checks when it indexes an app."""

    def __init__(self, function_name: str, reason: str) -> None:
        super().__init__(f"cannot load the {function_name!r} function: {reason}")


class InvocationError(Exception):
    """One invocation failed; it is already logged, so a caller only decides what happens to its message or request."""
