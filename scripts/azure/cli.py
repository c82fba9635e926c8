"""The Azure CLI: asks and does, and in a dry run only asks."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any, Final

_REMEDIES: Final = {
    "az login": " Run `az login`.",
    "/me request": " Sign in as a person with `az login`: a service principal has no name and no mail address.",
    "Insufficient privileges": " Ask somebody who may register applications and make groups to run it.",
    "AuthorizationFailed": " You need the role Owner on the subscription, or Contributor and Role Based Access Control "
    "Administrator.",
}


class AzureError(Exception):
    """Azure, or its CLI, does not do what it was asked; the message has the reason and the remedy."""


class AzureCli:
    """Runs `az`. Raises `AzureError` for a command that fails, with what it said.

    Parameters
    ----------
    dry_run
        Changes are printed instead of made.
    """

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        #: How many changes were made, or would have been.
        self.changes = 0
        if shutil.which("az") is None:
            raise AzureError("There is no az on PATH: install the Azure CLI, then run `az login`.")

    def ask(self, *arguments: str) -> Any:
        """Run a command that changes nothing and return its answer."""
        return self._run(arguments)

    def do(self, what: str, *arguments: str) -> Any:
        """Run a command that changes something, and say so; the answer is None in a dry run."""
        self.changes += 1
        if self.dry_run:
            print(f"would    | {what}\n         |   az {shlex.join(arguments)}", flush=True)
            return None
        print(f"azure    | {what}", flush=True)
        return self._run(arguments)

    def _run(self, arguments: tuple[str, ...]) -> Any:
        ran = subprocess.run(
            ["az", *arguments, "--only-show-errors", "--output", "json"],
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
            raise AzureError(f"az {' '.join(arguments[:3])} answered what is no JSON: {ran.stdout[:200]!r}") from error
