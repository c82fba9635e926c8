"""What can be wrong with an app before it runs, and what can go wrong in one invocation."""

from __future__ import annotations


class HostError(Exception):
    """The app cannot be started; the text names the thing, the reason and the remedy."""


class SettingsError(HostError):
    """host.json, local.settings.json or an app setting is missing or wrong."""


class WorkerRefused(HostError):
    """The worker cannot index the app; text and `stack_trace` are the worker's own."""

    def __init__(self, message: str, stack_trace: str) -> None:
        super().__init__(message)
        self.stack_trace = stack_trace


class FunctionLoadError(HostError):
    """A function breaks a rule that the host checks of what the worker has indexed."""

    def __init__(self, function_name: str, reason: str) -> None:
        super().__init__(f"cannot load the {function_name!r} function: {reason}")


class WorkerEnded(HostError):
    """A function has ended the worker, as `sys.exit()` in a body does."""


class InvocationError(Exception):
    """One invocation failed; it is already logged, so a caller only decides what happens to its message or request.

    `stack_trace` is the worker's own text; empty where no Python code of the app failed.
    """

    def __init__(self, message: str, stack_trace: str = "") -> None:
        super().__init__(message)
        self.stack_trace = stack_trace
