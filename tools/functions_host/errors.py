"""The errors of an app before it runs, and of one invocation."""

from __future__ import annotations


class HostError(Exception):
    """The app cannot be started; the text says what is wrong, why, and what to do."""


class SettingsError(HostError):
    """host.json, local.settings.json or an app setting is missing or wrong."""


class WorkerRefused(HostError):
    """The worker cannot index the app; text and `stack_trace` are the worker's own."""

    def __init__(self, message: str, stack_trace: str) -> None:
        super().__init__(message)
        self.stack_trace = stack_trace


class FunctionLoadError(HostError):
    """An indexed function violates a rule of the host."""

    def __init__(self, function_name: str, reason: str) -> None:
        super().__init__(f"cannot load the {function_name!r} function: {reason}")


class WorkerEnded(HostError):
    """A function has ended the worker, as `sys.exit()` does."""


class InvocationError(Exception):
    """One invocation failed; it is already logged, so a caller only decides what happens to its message or request.

    `stack_trace` is the worker's own text; empty where no Python code of the app failed.
    """

    def __init__(self, message: str, stack_trace: str = "") -> None:
        super().__init__(message)
        self.stack_trace = stack_trace
