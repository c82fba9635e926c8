"""What must be impossible: the process ends with code 78 and a line that names the setting and the remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.security.conftest import ROOT, Attacks
from tests.support import link_secrets

GOOD = {
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "local",
    **link_secrets.SETTINGS,
    "DATABASE_URL": "postgresql://u:SECRET@127.0.0.1/d",
    "QueuesConn": "UseDevelopmentStorage=true",
    "BlobsConn": "UseDevelopmentStorage=true",
    "SIGNALR_CONNECTION": f"Endpoint=http://127.0.0.1:8888;AccessKey={'k' * 44};",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
}
OIDC = GOOD | {"AUTH_MODE": "oidc", "OIDC_ISSUER": "https://x.example", "OIDC_AUDIENCE": "a", "OIDC_CLIENT_ID": "c"}
#: Each start and the lines that it must end with; every single case has a unit test of the settings.
STARTS: list[tuple[dict[str, str], list[str]]] = [
    ({**GOOD, "AUTH_MODE": "anonymous"}, ["AUTH_MODE: 'anonymous' is not known; use invite or oidc."]),
    (
        {**GOOD, "ENVIRONMENT": "prod", "SESSION_SECRET": "short", "ALLOWED_ORIGINS": "*"},
        [
            "AUTH_MODE: invite links are not for production; set AUTH_MODE=oidc.",
            "SESSION_SECRET: is shorter than 32 bytes",
            "ALLOWED_ORIGINS: '*' is not exactly one https origin",
        ],
    ),
    (
        {**OIDC, "OIDC_ISSUER": "http://x.example", "OIDC_AUDIENCE": "", "OIDC_ALGORITHMS": "HS256"},
        [
            "OIDC_ISSUER: is not a valid https address",
            "OIDC_AUDIENCE: is missing",
            "OIDC_ALGORITHMS: has an algorithm that is unknown or lets others sign",
        ],
    ),
    (
        {**GOOD, "WEBSITE_SITE_NAME": "x"},
        [
            "QueuesConn: is the storage emulator",
            "DATABASE_URL: does not require TLS with a verified name",
        ],
    ),
]
KIND = """
from __future__ import annotations
from pydantic import BaseModel
from tests.support import link_secrets
from queued_jobs import JobContext, JobRunner
class Nothing(BaseModel): ...
class Another(JobRunner[Nothing, None]):
    kind = "{kind}"
    queue = "{queue}"
    def on_execute(self, request: Nothing, ctx: JobContext[None]) -> None: ...
"""
CODE = {
    "I12 kind": ("jobs/another.py", KIND.format(kind="probe", queue="another"), "registered twice"),
    "I12 name": ("jobs/another.py", KIND.format(kind="sweep", queue="another"), "kind 'sweep'"),
    "I7": (
        "api/health.py",
        "from __future__ import annotations\nfrom fastapi import APIRouter\nroutes = APIRouter(prefix='/api')\n"
        "@routes.get('/open')\ndef forgotten() -> None: ...\n",
        "/api/open has 0 policies instead of one: declare Depends(public), or take a parameter of type SignedIn",
    ),
}


def start(folder: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Load the function app as a host does."""
    inherited = {name: value for name, value in os.environ.items() if name not in {*OIDC, "WEBSITE_SITE_NAME"}}
    environment = {**inherited, **settings, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", "import function_app"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_a8_settings(attacks: Attacks) -> None:
    answers = []
    for settings, lines in STARTS:
        ended = start(ROOT / "functions", settings)
        assert ended.returncode == 78, ended.stderr
        for line in lines:
            assert any(told.startswith(line) for told in ended.stderr.splitlines()), (line, ended.stderr)
            answers.append("exit 78")
        assert "Traceback" not in ended.stderr
        assert "SECRET@" not in ended.stderr
    attacks.note("A8", "unsafe settings", answers)


def test_a8_code(tmp_path: Path, attacks: Attacks) -> None:
    def started(name: str) -> subprocess.CompletedProcess[str]:
        path, text, _ = CODE[name]
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(ROOT / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "web", folder / "web", ignore=shutil.ignore_patterns("node_modules"))
        (folder / "functions" / path).write_text(text)
        return start(folder / "functions", GOOD)

    with ThreadPoolExecutor(2) as pool:
        ended = dict(zip(CODE, pool.map(started, CODE), strict=True))
    for name, (_, _, line) in CODE.items():
        assert ended[name].returncode == 78, (name, ended[name].stderr)
        assert line in ended[name].stderr.splitlines()[-1], (name, ended[name].stderr)
    attacks.note(
        "A8", "kinds and routes that are declared wrongly", [f"exit {one.returncode}" for one in ended.values()]
    )


@pytest.mark.parametrize("option", ["--host"])
def test_a8_the_local_host_listens_on_this_machine_alone(option: str) -> None:
    """I9: the one way out says in its name that it is unsafe."""
    command = [sys.executable, "-m", "tools.functions_host", "functions", "--port", "0", option, "0.0.0.0"]  # noqa: S104
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "unrecognized arguments" in ended.stderr
