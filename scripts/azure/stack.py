"""One stack, as the Pulumi CLI keeps it: configuration, `up`, outputs."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class StackFailed(Exception):
    """A pulumi command failed. Its output is on the terminal already, or in the message."""


class DeployedStack:
    """Runs `pulumi` for one stack, from the project's folder.

    Parameters
    ----------
    local_state
        Where the state is kept unless `pulumi login` has chosen another place.
    """

    def __init__(self, name: str, *, root: Path, local_state: Path) -> None:
        self.name = name
        self._root = root
        # with the current interpreter first on PATH, which Pulumi uses
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        if not self._is_logged_in():
            self._environment |= _keep_state_in(local_state)

    def select(self) -> None:
        """Select this stack, and create it if it does not exist."""
        self._run("stack", "select", self.name, "--create", "--non-interactive")

    def config(self) -> dict[str, Any]:
        """Return the configuration by key, without secret values."""
        values = json.loads(self._run("config", "--json", "--stack", self.name) or "{}")
        return {key: one.get("objectValue", one.get("value")) for key, one in values.items()}

    def configure(self, values: Mapping[str, str], lists: Mapping[str, list[str]]) -> None:
        for key, value in values.items():
            self._run("config", "set", key, value, "--stack", self.name)
        for key, items in lists.items():
            for number, item in enumerate(items):
                self._run("config", "set", "--path", f"{key}[{number}]", item, "--stack", self.name)

    def up(self, *, confirmed: bool) -> None:
        """Show the preview, ask for confirmation if needed, and run `pulumi up`. Raises `StackFailed`."""
        flags = ["--yes", "--non-interactive"] if confirmed else []
        command = ["pulumi", "up", "--stack", self.name, *flags]
        if _wait_for(subprocess.Popen(command, cwd=self._root, env=self._environment)) != 0:
            raise StackFailed(
                "pulumi up did not finish. Running it again is safe; docs/how-to/troubleshoot-azure.md helps."
            )

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(
            self._run("stack", "output", "--json", "--show-secrets", "--stack", self.name)
        )
        return outputs

    def _is_logged_in(self) -> bool:
        if os.environ.get("PULUMI_BACKEND_URL"):
            return True
        command = ["pulumi", "whoami", "--non-interactive"]
        return subprocess.run(command, cwd=self._root, capture_output=True, check=False).returncode == 0

    def _run(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["pulumi", *arguments],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise StackFailed(f"pulumi {' '.join(arguments[:3])} failed: {(ran.stderr or ran.stdout).strip()}")
        return ran.stdout


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Return its exit code, and ignore Ctrl-C: a killed `up` leaves a locked state without the new resources."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # pulumi received Ctrl-C too, and completes what it has begun


def _keep_state_in(folder: Path) -> dict[str, str]:
    """Return the environment that makes Pulumi keep its state in that folder, with a passphrase beside it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        passphrase.touch(mode=0o600)
        passphrase.write_text(secrets.token_urlsafe(32))
    return {"PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)}
