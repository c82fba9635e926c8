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

    Raises `StackFailed` if the chosen place cannot be used.
    """

    def __init__(self, name: str, *, root: Path, local_state: Path) -> None:
        self.name = name
        self._root = root
        self._local_state = local_state
        # with the current interpreter first on PATH, which Pulumi uses
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        #: Where the state is, as an URL.
        self.state = self._find_state()
        if not self.state:
            self.state = f"file://{local_state}"
            self._environment |= _keep_state_in(local_state)

    def select(self) -> None:
        """Select this stack, and create it if it does not exist."""
        self._run("stack", "select", self.name, "--create", "--non-interactive")

    def is_empty(self) -> bool:
        """Return whether the state has no resources. Raises `StackFailed` if the checkout's own state has some."""
        exported = json.loads(self._run("stack", "export", "--stack", self.name) or "{}")
        if (exported.get("deployment") or {}).get("resources"):
            return False
        local = f"file://{self._local_state}"
        found = [] if self.state == local else sorted(self._local_state.glob(f".pulumi/stacks/*/{self.name}.json"))
        if found:
            raise StackFailed(
                f"The state in {self.state} has no resources of {self.name}, but {found[0]} exists. To use that one: "
                "pulumi logout. To move it: pulumi stack export and import (see docs/how-to/deploy.md). If it has been "
                "moved or destroyed, delete that file."
            )
        return True

    def config(self) -> dict[str, Any]:
        """Return the configuration by key, without secret values."""
        values = json.loads(self._run("config", "--json", "--stack", self.name) or "{}")
        return {key: one.get("objectValue", one.get("value")) for key, one in values.items()}

    def configure(self, values: Mapping[str, str | list[str]], former: Mapping[str, Any]) -> None:
        """Set these keys, which had the `former` values; remove those that are empty."""
        for key, value in values.items():
            if not value:
                self._run("config", "rm", key, "--stack", self.name)
            elif isinstance(value, str):
                self._run("config", "set", key, value, "--stack", self.name)
            else:
                for number, item in enumerate(value):
                    self._run("config", "set", "--path", f"{key}[{number}]", item, "--stack", self.name)
                for number in reversed(range(len(value), len(former.get(key) or ()))):
                    self._run("config", "rm", "--path", f"{key}[{number}]", "--stack", self.name)

    def up(self, *, confirmed: bool) -> None:
        """Show the preview, ask for confirmation if needed, and run `pulumi up`. Raises `StackFailed`."""
        flags = ["--yes", "--non-interactive"] if confirmed else []
        command = ["pulumi", "up", "--stack", self.name, *flags]
        if _wait_for(subprocess.Popen(command, cwd=self._root, env=self._environment)) != 0:
            raise StackFailed(
                "pulumi up did not finish. Running it again is safe; see docs/how-to/troubleshoot-azure.md."
            )

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(
            self._run("stack", "output", "--json", "--show-secrets", "--stack", self.name)
        )
        return outputs

    def _find_state(self) -> str:
        """Return the URL that Pulumi is logged in to; empty if to none. Raises `StackFailed` if the login has ended."""
        chosen = os.environ.get("PULUMI_BACKEND_URL") or _current_login(os.environ)
        command = ["pulumi", "whoami", "--json", "--non-interactive"]
        ran = subprocess.run(
            command,
            cwd=self._root,
            env=self._environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if ran.returncode == 0:
            return chosen or str(json.loads(ran.stdout).get("url", "Pulumi Cloud"))
        if chosen:
            said = " ".join((ran.stderr or ran.stdout).split())
            raise StackFailed(
                f"The state in {chosen} cannot be used: {said or 'pulumi whoami failed'}\n"
                f"Log in again (az login, then pulumi login '{chosen}'), or log out (pulumi logout) and keep a new "
                f"state in {self._local_state}."
            )
        return ""

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


def _current_login(environment: Mapping[str, str]) -> str:
    """Return the URL in Pulumi's record of logins, also if the login has expired; empty if there is none."""
    if environment.get("PULUMI_ACCESS_TOKEN"):
        return "https://api.pulumi.com"
    home = environment.get("PULUMI_CREDENTIALS_PATH") or environment.get("PULUMI_HOME") or Path.home() / ".pulumi"
    try:
        return str(json.loads((Path(home) / "credentials.json").read_text()).get("current") or "")
    except (OSError, ValueError):
        return ""


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
