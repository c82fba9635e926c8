"""The Azure CLI: queries and changes; a dry run only queries."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any, Final

_REMEDIES: Final = {
    "az login": " Run `az login`.",
    "/me request": " Sign in as a user with `az login`: a service principal has no name and no email address.",
    "Insufficient privileges": " Run it with an account that may register applications and create groups.",
    "AuthorizationFailed": " You need the role Owner on the subscription, or Contributor and Role Based Access Control "
    "Administrator.",
}

#: Groups of commands that ask the directory, or whose arguments name the subscription.
_WITHOUT_SUBSCRIPTION: Final = ("account", "ad", "rest")


class AzureError(Exception):
    """A request to Azure, or its CLI, failed; the message has the reason and the remedy."""


class AzureCli:
    """Runs `az`. Raises `AzureError` with the output of a command that fails.

    Parameters
    ----------
    dry_run
        Print changes instead of making them.
    subscription
        The subscription of all commands that have one; without it the one that is selected in the CLI.
    """

    def __init__(self, *, dry_run: bool = False, subscription: str | None = None) -> None:
        self.dry_run = dry_run
        self._options = () if subscription is None else ("--subscription", subscription)
        #: The number of changes that were made, or would have been.
        self.changes = 0
        if shutil.which("az") is None:
            raise AzureError("az is not on PATH: install the Azure CLI, then run `az login`.")

    def ask(self, *arguments: str) -> Any:
        """Run a read-only command and return its output."""
        return self._run(arguments)

    def succeeds(self, *arguments: str) -> bool:
        """Return whether a read-only command succeeds."""
        try:
            self._run(arguments)
        except AzureError:
            return False
        return True

    def do(self, what: str, *arguments: str) -> Any:
        """Run and report a command that changes something, and return its output; None in a dry run."""
        self.changes += 1
        if self.dry_run:
            print(f"would    | {what}\n         |   az {shlex.join(arguments)}", flush=True)
            return None
        print(f"azure    | {what}", flush=True)
        return self._run(arguments)

    def _run(self, arguments: tuple[str, ...]) -> Any:
        options = () if arguments[0] in _WITHOUT_SUBSCRIPTION else self._options
        ran = subprocess.run(
            ["az", *arguments, *options, "--only-show-errors", "--output", "json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            said = " ".join(ran.stderr.split()) or f"exit code {ran.returncode}"
            remedy = next((remedy for words, remedy in _REMEDIES.items() if words in said), "")
            raise AzureError(f"az {' '.join(arguments[:3])} failed: {said}{remedy}")
        try:
            return json.loads(ran.stdout) if ran.stdout.strip() else None
        except ValueError as error:
            raise AzureError(f"az {' '.join(arguments[:3])} returned invalid JSON: {ran.stdout[:200]!r}") from error
