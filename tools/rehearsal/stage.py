"""The environment of a rehearsal: a copy of the project, the engine, and this machine in place of Azure."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psycopg

from tools.rehearsal.azure.cloud import Cloud
from tools.rehearsal.database import DATABASE, EntraPostgres
from tools.rehearsal.project import Project
from tools.rehearsal.pulumi import Outcome, Pulumi
from tools.rehearsal.pulumi_engine import Engine
from tools.rehearsal.scm_site import ScmSite
from tools.rehearsal.tokens import TokenEndpoint

Say = Callable[[str], None]


class Unexpected(Exception):
    """The stack did not behave as expected; the message has the expected and the actual behaviour."""


class Stage:
    """A context manager. Everything is in one folder, which is deleted at the end, except after `Unexpected`."""

    def __init__(self, engine: Engine, say: Say) -> None:
        self._engine = engine
        self.say = say
        self._stack = ExitStack()
        self._keep_scratch = False

    def __enter__(self) -> Self:
        self.scratch = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        with ExitStack() as stack:
            stack.callback(self._remove_scratch)
            self.scratch.chmod(0o711)  # Postgres runs as another account where root started this
            self.project = Project(self.scratch / "project")
            self.tokens = TokenEndpoint()
            stack.callback(self.tokens.close)
            self.scm = ScmSite(self.tokens)
            stack.callback(self.scm.close)
            admin = self.project.database_admin
            self.database = EntraPostgres(self.scratch / "postgres", self.tokens, admin=admin)
            stack.callback(self.database.close)
            self.configure({})
            self.cloud = Cloud(self.scratch)
            self.pulumi = Pulumi(
                self._engine,
                project=self.project.folder,
                scratch=self.scratch,
                environment=self.tokens.environment,
            )
            self.pulumi.make_stack("dev")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._keep_scratch = kind is Unexpected
        self._stack.close()
        if self._keep_scratch:
            self.say(f"kept everything in {self.scratch}")

    def _remove_scratch(self) -> None:
        if not self._keep_scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def configure(self, settings: dict[str, Any]) -> None:
        """Set keys of the stack's configuration."""
        self.project.configure(scm_url=self.scm.url, postgres_port=self.database.port, settings=settings)

    def show(self, title: str, outcome: Outcome) -> Outcome:
        """Report what a run of the engine did, and return it."""
        counts = ", ".join(f"{number} {operation}" for operation, number in sorted(outcome.counts.items()))
        ending = "" if outcome.code == 0 else f"; ended with exit code {outcome.code}"
        self.say(f"{title}: {outcome.command} {outcome.seconds:.1f} s, {counts or 'nothing'}{ending}")
        return outcome

    def rows(self, query: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """Query the database as a superuser."""
        with psycopg.connect(self.database.url_of_superuser(database)) as conn:
            return conn.execute(query.encode()).fetchall()


def expect(truth: bool, message: str, outcome: Outcome | None = None) -> None:
    """Raise `Unexpected` with the engine's output, unless it is true."""
    if not truth:
        said = f"\n{outcome.text[-4000:]}" if outcome is not None else ""
        raise Unexpected(f"{message}{said}")


def expect_changes(outcome: Outcome, changes: dict[str, str], what: str) -> None:
    """Raise `Unexpected` unless the run succeeded with exactly these changes."""
    expect(outcome.code == 0, f"{what}: {outcome.command} failed", outcome)
    found = dict(outcome.changes)
    expect(found == changes, f"{what}: expected {changes or 'no changes'}, found {found}")
