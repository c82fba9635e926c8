"""Starts the servers and the subjects, and lets the subjects run in turns: only such numbers can be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tools.bench.child import SUBJECTS
from tools.local_stack import ports
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.state import temporary_folder

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Sample:
    """One run of one subject."""

    subject: str
    in_flight: int
    per_second: float
    #: CPU time of the subject's process for each job.
    cpu_us: float


class Child:
    """A subject in its own process, which ends with this one."""

    def __init__(self, name: str, database: str, hub: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.bench.child", name, database, hub],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def ask(self, **command: Any) -> dict[str, Any]:
        if self._process.stdin is None:
            raise RuntimeError(f"{self._name} takes no commands")
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"{self._name} ended with code {self._process.wait()}; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(
    subjects: Sequence[str], *, rounds: int, jobs: int, in_flight: Iterable[int], say: Callable[[str], None]
) -> list[Sample]:
    """Run the subjects one after another, `rounds` times, for each number of jobs in flight."""
    samples = []
    with _servers(subjects) as children:
        for number in range(rounds):
            for count in in_flight:
                for name in (*subjects[number % len(subjects) :], *subjects[: number % len(subjects)]):
                    children[name].ask(prepare=jobs)
                    sample = Sample(name, count, **children[name].ask(in_flight=count))
                    samples.append(sample)
                    say(f"round {number + 1} of {rounds}, {count:2} in flight: {name} {sample.per_second:,.0f}/s")
    return samples


@contextmanager
def _servers(subjects: Sequence[str]) -> Iterator[dict[str, Child]]:
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        # a commit waits for the disk, as in the cloud
        postgres = PostgresServer(folder / "postgres", durable=True)
        postgres.start()
        stack.callback(postgres.delete_data)
        stack.callback(postgres.stop)
        (port,) = ports.choose_ports(1)
        hub = subprocess.Popen([sys.executable, "-m", "tools.bench.sink", str(port)], cwd=ROOT, stdin=subprocess.PIPE)
        stack.callback(hub.communicate)
        address = f"Endpoint=http://{ports.LOOPBACK}:{port};AccessKey={'k' * 44};Version=1.0;"
        children = {}
        for name in subjects:
            database = f"bench_{name.replace('-', '_')}"
            with psycopg.connect(postgres.url, autocommit=True) as conn:
                conn.execute(f"create database {database}".encode())
            children[name] = Child(name, postgres.url_of(database), address)
            stack.callback(children[name].close)
        yield children


__all__ = ["SUBJECTS", "Sample", "measure"]
