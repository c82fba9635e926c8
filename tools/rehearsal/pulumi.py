"""Runs the engine on a copy of the project, and reads the changes from its events."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from tools.local_stack.errors import LocalRunError
from tools.rehearsal.azure.provider import CLOUD_FOLDER
from tools.rehearsal.pulumi_engine import Engine

PROVIDER = Path(__file__).resolve().parent / "plugins" / "provider"
PASSPHRASE = "rehearsal"  # noqa: S105 (of a state that is deleted at the end)
LONGEST = timedelta(minutes=20)
_NOT_RESOURCES = ("pulumi:pulumi:", "pulumi:providers:", "infra:index:")  # stacks, providers, components
#: Variables that would lead a rehearsal to a real cloud or state.
_NOT_HANDED_ON = ("PULUMI_", "AZURE_", "ARM_", "ACTIONS_", "PG", "PYTHONPATH", "VIRTUAL_ENV", "IDENTITY_", "MSI_")


class EngineFailed(LocalRunError):
    """A command of the engine that is a prerequisite failed; the message has its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of the engine.

    Attributes
    ----------
    changes
        What it did, or in a preview would do, to each resource, by logical name; what stays the same is not in it,
        and neither are components.
    counts
        How often it did each, including unchanged resources.
    errors
        (URN of the resource, message).
    """

    command: str
    code: int
    seconds: float
    changes: Mapping[str, str]
    counts: Mapping[str, int]
    errors: tuple[tuple[str, str], ...]
    output: str = field(repr=False)

    @property
    def text(self) -> str:
        """All its error messages."""
        return "\n".join(message for _, message in self.errors) or self.output


def kill_session(leader: subprocess.Popen[str]) -> None:
    """Kill all processes of the session that `leader` began, including its plugins in separate process groups."""
    killed: set[int] = set()
    while remaining := _session_of(leader.pid) - killed:  # the next round finds what one of them has just started
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= remaining


def _session_of(leader: int) -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True)
    members = set()
    for pid in map(int, listed.stdout.split()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                members.add(pid)
    return members


class Pulumi:
    """The engine with its own state in `scratch`, and our plugins."""

    def __init__(self, engine: Engine, *, project: Path, scratch: Path, environment: Mapping[str, str]) -> None:
        self._engine = engine
        self._project = project
        self._scratch = scratch
        self._has_stack = False
        state = scratch / "state"
        state.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
        own_programs = Path(sys.executable).parent
        path = [PROVIDER, own_programs, *engine.path]
        self._environment = {
            **kept,
            **environment,
            "PATH": os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)]),
            "NO_PROXY": "127.0.0.1",
            "REHEARSAL_PYTHON": sys.executable,
            CLOUD_FOLDER: str(scratch),
            "PULUMI_HOME": str(scratch / "home"),
            # without the files of attributes, which are not written in one step: a kill would leave an empty one
            "PULUMI_BACKEND_URL": f"{state.as_uri()}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
        }

    def make_stack(self, name: str) -> None:
        """Create a stack; the first one is the default of the other methods."""
        self._text("stack", "init", name, *(["--no-select"] if self._has_stack else []))
        self._has_stack = True

    def preview(self, *arguments: str) -> Outcome:
        return self._run("preview", *arguments)

    def up(self, *arguments: str) -> Outcome:
        return self._run("up", "--yes", "--skip-preview", *arguments)

    def refresh(self, *arguments: str) -> Outcome:
        return self._run("refresh", "--yes", "--skip-preview", *arguments)

    def destroy(self) -> Outcome:
        return self._run("destroy", "--yes", "--skip-preview")

    def up_until_interrupted(self, *, when: Callable[[], bool]) -> None:
        """Start `up` and press Ctrl-C as soon as `when` is true: it completes what it has begun, and ends."""
        self._run_until("up", when, lambda process: process.send_signal(signal.SIGINT))

    def destroy_until_interrupted(self, *, when: Callable[[], bool]) -> None:
        """Start `destroy` and press Ctrl-C as soon as `when` is true."""
        self._run_until("destroy", when, lambda process: process.send_signal(signal.SIGINT))

    def up_until_killed(self, *, when: Callable[[], bool]) -> None:
        """Start `up` and kill it with all its processes as soon as `when` is true."""
        self._run_until("up", when, kill_session)

    def _run_until(self, command: str, when: Callable[[], bool], end: Callable[[subprocess.Popen[str]], None]) -> None:
        path = self._scratch / "stopped.log"  # a file, since a pipe that is not read would fill up
        with path.open("w") as file:
            process = self._start(command, "--yes", "--skip-preview", output=file)
        deadline = time.monotonic() + LONGEST.total_seconds()
        try:
            while not when():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise EngineFailed(
                        f"pulumi {command} could not be stopped at the intended point:\n{path.read_text()}"
                    )
                time.sleep(0.05)
            end(process)
            process.wait(LONGEST.total_seconds())
        finally:
            if process.poll() is None:
                kill_session(process)
                process.wait()

    def unlock(self) -> None:
        """Unlock the state after a killed run."""
        self._text("cancel", "--yes")

    def adopt(self, existing: Mapping[str, str]) -> Outcome:
        """Import resources by id into the state, by URN: Azure created them for a run that could not record them."""
        resources = [
            {"type": urn.split("::")[2].split("$")[-1], "name": urn.split("::")[-1], "id": id_}
            for urn, id_ in existing.items()
        ]
        file = self._scratch / "import.json"
        file.write_text(json.dumps({"resources": resources}))
        options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
        return self._run("import", "--file", str(file), *options)

    def export(self) -> str:
        """Return the stored state, with encrypted secrets."""
        return self._text("stack", "export")

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets hidden."""
        found: dict[str, Any] = json.loads(self._text("stack", "output", "--json"))
        return found

    def _text(self, *arguments: str) -> str:
        finished = subprocess.run(
            [self._engine.program, *arguments, "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            raise EngineFailed(f"pulumi {' '.join(arguments)} ended with {finished.returncode}:\n{finished.stderr}")
        return finished.stdout

    def _start(self, *arguments: str, output: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._engine.program, *arguments, "--json", "--non-interactive"],
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def _run(self, command: str, *arguments: str) -> Outcome:
        started = time.monotonic()
        process = self._start(command, *arguments)
        try:
            output = process.communicate(timeout=LONGEST.total_seconds())[0]
        except subprocess.TimeoutExpired as error:
            minutes = LONGEST.total_seconds() / 60
            raise EngineFailed(f"pulumi {command} did not end within {minutes:.0f} minutes") from error
        finally:
            if process.poll() is None:
                kill_session(process)
        changes: dict[str, str] = {}
        counts: Counter[str] = Counter()
        errors: list[tuple[str, str]] = []
        for event in _events(output):
            metadata = event.get("resOutputsEvent" if command != "preview" else "resourcePreEvent", {}).get("metadata")
            if metadata is not None and not metadata["type"].startswith(_NOT_RESOURCES):
                counts[metadata["op"]] += 1
                if metadata["op"] not in ("same", "refresh"):
                    changes[metadata["urn"].split("::")[-1]] = metadata["op"]
            diagnostic = event.get("diagnosticEvent", {})
            if diagnostic.get("severity") == "error":
                errors.append((diagnostic.get("urn", ""), diagnostic["message"].strip()))
        return Outcome(
            command=command,
            code=process.returncode,
            seconds=time.monotonic() - started,
            changes=changes,
            counts=counts,
            errors=tuple(errors),
            output=output,
        )


def _events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"sequence"')]
