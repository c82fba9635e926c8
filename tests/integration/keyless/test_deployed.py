"""The package as Azure gets it: unpacked alone, on the target's Python, with an identity instead of keys.

It runs under Microsoft's worker, which is the host's and not in the package.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import psycopg
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

import jobs
from infra.publish.bundle import PYTHON_VERSION, SITE_PACKAGES, Bundle
from queued_jobs.registry import JobRegistry
from scripts import smoke
from tests.integration.keyless.conftest import KeylessAzurite, KeylessHub
from tests.support import link_secrets
from tests.support.entra import Entra
from tests.support.target_python import TargetPython
from tests.support.tls import Certificate
from tools.local_stack import smoke_job
from tools.local_stack.app_servers import HEALTH, ROOT, responds
from tools.local_stack.process import Command
from tools.local_stack.server import Server

#: What the host itself needs, as the real one brings its own.
HOST_PACKAGES = ("uvicorn", "click", "azure_functions_runtime")
#: What lies beside the worker in Azure, the library's own version of the SDK included.
WORKER_PACKAGES = ("azure_functions_runtime", "azure.functions", "werkzeug", "markupsafe")
PLACEHOLDER = ROOT / "tests" / "support" / "placeholder.py"


class DeployedApp(Server):
    """The local functions host on the target's Python, which finds the app's modules only in their folder."""

    def __init__(self, python: TargetPython, app: Path, host: Path, settings: Mapping[str, str]) -> None:
        super().__init__("host", ports_needed=1)
        self._python, self._app, self._host, self._settings = python, app, host, settings

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}/"

    def _command(self) -> Command:
        isolated = ["-S", "-P", "-m", "tools.functions_host"]  # no packages of the interpreter, none of this folder
        paths = {"PYTHONPATH": os.pathsep.join(map(str, [self._app / SITE_PACKAGES, self._host, self._app]))}
        return Command(
            arguments=[str(self._python.executable), *isolated, str(self._app), "--port", str(self.ports[0])],
            environment={**self._settings, **paths},
            folder=self._app,
        )

    def _is_ready(self) -> bool:
        return self.exit_code is None and responds(self.ports[0], HEALTH)


class OwnToken:
    """A credential for the deployer's part in this test."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def get_token(self, *scopes: str, **_options: object) -> AccessToken:
        return AccessToken(self._entra.token(scopes[0].removesuffix("/.default")), 4_000_000_000)


@pytest.fixture(scope="module")
def app_folder(package: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wwwroot")
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def host_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host's own code, away from the library and from the functions."""
    folder = tmp_path_factory.mktemp("host")
    without = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "tools" / "functions_host", folder / "tools" / "functions_host", ignore=without)
    shutil.copy(ROOT / "tools" / "local_server.py", folder / "tools")
    copy_packages(HOST_PACKAGES, folder)
    return folder


@pytest.fixture(scope="module")
def worker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an instance has before an app is given to it."""
    folder = tmp_path_factory.mktemp("worker")
    copy_packages(WORKER_PACKAGES, folder)
    return folder


def copy_packages(names: Sequence[str], folder: Path) -> None:
    for name in names:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        target = folder.joinpath(*name.split("."))
        shutil.copytree(Path(spec.origin).parent, target, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def settings(
    entra: Entra, keyless_azurite: KeylessAzurite, keyless_hub: KeylessHub, certificate: Certificate, jobs_url: str
) -> Iterator[dict[str, str]]:
    """The app's whole environment: addresses, names, secrets of the invite links, no key of any service."""
    prepare_storage(entra, keyless_azurite, certificate)
    parts = conninfo_to_dict(jobs_url)
    role = sql.Identifier("the-app")
    with psycopg.connect(jobs_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login").format(role))
        for grant in (
            "grant usage on schema queued_jobs to {}",
            "grant select, insert, update, delete on all tables in schema queued_jobs to {}",
            "grant usage, select on all sequences in schema queued_jobs to {}",
        ):
            admin.execute(sql.SQL(grant).format(role))

        def follow(resource: str, token: str) -> None:
            if "ossrdbms" in resource:
                admin.execute(sql.SQL("alter role {} password {}").format(role, sql.Literal(token)))

        entra.on_issue = follow
        yield {
            **entra.environment,
            **{"AUTH_MODE": "invite", "ENVIRONMENT": "dev", "SWEEP_SCHEDULE": "*/15 * * * * *"},
            **link_secrets.SETTINGS,
            **{"PGHOST": str(parts["host"]), "PGPORT": str(parts["port"]), "PGDATABASE": str(parts["dbname"])},
            **{"PGUSER": "the-app", "PGSSLMODE": "disable"},
            "QueuesConn__queueServiceUri": keyless_azurite.queue_endpoint,
            "QueuesConn__credential": "managedidentity",
            "QueuesConn__clientId": entra.client_id,
            "BlobsConn__blobServiceUri": keyless_azurite.blob_endpoint,
            "SIGNALR_ENDPOINT": keyless_hub.endpoint,
            **{name: str(certificate.certificate) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")},
        }
        admin.execute(sql.SQL("drop owned by {0}; drop role {0}").format(role))


def prepare_storage(entra: Entra, azurite: KeylessAzurite, certificate: Certificate) -> None:
    """Make what the deployment makes."""
    deployer, trusted = OwnToken(entra), str(certificate.certificate)
    registry = JobRegistry.from_package(jobs)
    with QueueServiceClient(azurite.queue_endpoint, credential=deployer, connection_verify=trusted) as queues:
        for queue in (name for each in registry.queues for name in (each, f"{each}-poison")):
            try:
                queues.create_queue(queue)
            except ResourceExistsError:
                continue
    with BlobServiceClient(azurite.blob_endpoint, credential=deployer, connection_verify=trusted) as blobs:
        for container in ("uploads", "results"):
            try:
                blobs.create_container(container)
            except ResourceExistsError:
                continue


@pytest.mark.filterwarnings("default::UserWarning")
def test_the_target_python_is_here(target_python: TargetPython) -> None:
    """Without it these tests run on another version, which proves less: the summary says so."""
    if not target_python.is_the_target:
        warnings.warn(
            f"There is no Python {PYTHON_VERSION} here, on which the app runs in Azure: the package was tried on "
            f"Python {target_python.version}. Install Python {PYTHON_VERSION}, or use pyenv.",
            UserWarning,
            stacklevel=1,
        )


def test_a_placeholder_becomes_the_worker_of_the_package(
    target_python: TargetPython,
    package: Bundle,
    app_folder: Path,
    host_folder: Path,
    worker_folder: Path,
    settings: dict[str, str],
    tmp_path: Path,
) -> None:
    """The cold start of Azure: what an instance has read or loaded before it gets the app must not reach the app."""
    before = {name: "of the placeholder" for name in settings} | {"WEBSITE_PLACEHOLDER_MODE": "1"}
    folders = [worker_folder, app_folder, app_folder / SITE_PACKAGES, host_folder]
    finished = subprocess.run(
        [target_python.executable, "-I", "-S", PLACEHOLDER, *folders],
        cwd=tmp_path,
        env=before,
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout.splitlines()[-1])
    assert found["early"] == []
    assert {"http_app_func", "probe", "probe_poison", "sweep"} <= set(found["functions"])
    assert settings.items() <= found["environment"].items()
    assert "WEBSITE_PLACEHOLDER_MODE" not in found["environment"]
    assert Path(found["folder"]) == app_folder
    assert all(origin.startswith(str(app_folder)) for origin in found["origins"].values()), found["origins"]
    assert found["of_the_worker"] == []
    status, health = found["health"]
    assert (status, health["version"]) == ("200", package.version)


def test_a_job_runs_end_to_end_on_the_package_without_any_key(
    target_python: TargetPython,
    package: Bundle,
    app_folder: Path,
    host_folder: Path,
    settings: dict[str, str],
    entra: Entra,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    smoke_job._authorities.cache_clear()  # of an earlier test in this process
    app = DeployedApp(target_python, app_folder, host_folder, settings)
    try:
        app.start()
        health = httpx.get(f"{app.page_url}api/health", trust_env=False)
        assert health.json()["version"] == package.version
        assert smoke.main([f"{app.page_url}#invite={settings['INVITE_SECRET']}"]) == 0, app.last_lines
    finally:
        app.stop()
        smoke_job._authorities.cache_clear()
    printed = capsys.readouterr().out
    assert "10,000 bytes" in printed
    assert printed.splitlines()[-1] == "smoke    | ok"
    services = ("https://signalr.azure.com", "https://storage.azure.com", "https://ossrdbms-aad.database.windows.net")
    assert set(services) <= entra.issued.keys()
