"""A copy of the project to try changes on, with the endpoints of a rehearsal in its configuration."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from infra.project import key
from infra.validators import PLACEHOLDER_OBJECT_ID
from tools.local_stack.errors import LocalRunError

ROOT = Path(__file__).resolve().parents[2]
_FILES = ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "pyproject.toml")
_FOLDERS = ("infra", "functions", "queued_jobs", "web", "scripts", "tools", "locks")
_LEFT_OUT = ("__pycache__", "node_modules", "local.settings.json", ".local")
_NEW_KIND = '''"""A kind of job added by a rehearsal."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner


class Rehearsed(BaseModel):
    """Asks for nothing."""


class RehearsedRunner(JobRunner[Rehearsed, Rehearsed]):
    """Does nothing."""

    kind = "rehearsed"
    queue = "rehearsed"

    async def on_execute(self, request: Rehearsed, ctx: JobContext[Any]) -> Rehearsed:
        return request
'''


class NoStack(LocalRunError):
    """The checkout has no stack to rehearse; the message says what is missing."""


class Project:
    """The copy in `folder`, of the checkout that this file belongs to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in _FILES:
            if not (ROOT / name).exists():
                raise NoStack(f"{name} is missing; restore it with git")
            shutil.copy(ROOT / name, folder / name)
        for name in _FOLDERS:
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        # without the settings that decrypt the secrets of the real stack's state
        self._file.write_text(yaml.safe_dump({"config": self._config()}))

    @property
    def database_admin(self) -> str:
        """The deployer configured for the stack. Raises `NoStack` if there is none."""
        name = self._config().get(key("databaseAdminName"))
        if not name:
            raise NoStack(f"Pulumi.dev.yaml has no {key('databaseAdminName')}; set it; the sample value is enough here")
        return str(name)

    def replace_samples(self) -> None:
        """Give the production stack its own values, since the program refuses those of the sample."""
        file = self.folder / "Pulumi.prod.yaml"
        own = file.read_text().replace("example.com", "contoso.com")
        file.write_text(own.replace(PLACEHOLDER_OBJECT_ID, "44444444-4444-4444-8444-444444444444"))

    def configure(self, *, scm_url: str, postgres_port: int, settings: dict[str, Any]) -> None:
        """Point the stack at this machine, and set these keys."""
        config = self._config() | {key(name): value for name, value in settings.items()}
        config[key("rehearsal")] = {
            "scmUrl": scm_url,
            "postgresHost": "127.0.0.1",
            "postgresPort": postgres_port,
            "postgresSslmode": "disable",
        }
        # with the salt of the rehearsal's own secrets, which Pulumi keeps in this file
        self._file.write_text(yaml.safe_dump(self._document() | {"config": config}))

    def add_kind(self) -> str:
        """Add a kind of job, which is one file, and return the name of its queue."""
        (self.folder / "functions" / "jobs" / "rehearsed.py").write_text(_NEW_KIND)
        return "rehearsed"

    def change_code(self) -> None:
        """Change the application without changing what it needs."""
        path = self.folder / "functions" / "function_app.py"
        path.write_text(path.read_text() + "\n# changed\n")

    @property
    def _file(self) -> Path:
        return self.folder / "Pulumi.dev.yaml"

    def _config(self) -> dict[str, Any]:
        return dict(self._document()["config"])

    def _document(self) -> dict[str, Any]:
        try:
            document: Any = yaml.safe_load(self._file.read_text())
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            raise NoStack(f"Pulumi.dev.yaml is not valid YAML: {reason}. Fix it, or restore it with git") from error
        if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
            raise NoStack("Pulumi.dev.yaml has no `config:` with keys below it; restore it with git")
        return document
