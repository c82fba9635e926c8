"""scripts/deploy: says what is missing, settles what the stack does not know, brings it up, and proves it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from scripts.azure import deploy
from tests.infra.fake_az import ME
from tests.infra.fake_pulumi import OUTPUTS
from tests.infra.program import ROOT
from tests.support.waiting import wait_until

SAMPLE = {
    "azure-native:location": "westeurope",
    "queued-jobs:databaseAdminName": "you@example.com",
    "queued-jobs:databaseAdminObjectId": "00000000-0000-0000-0000-000000000000",
}
ANSWERS = ["--location", "swedencentral", "--email", "ops@jobs.example", "--deployer-ip", "203.0.113.9", "--yes"]


class Machine:
    """A machine with `az` and `pulumi` on PATH, and a smoke test that ends as it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "pulumi.json"
        self.change(version="v3.270.0", logged_in=True, by_invite=True, up=0, config=SAMPLE, log=[])
        self.smoke = folder / "smoke"
        self.smoke_ends_with(0)

    def smoke_ends_with(self, code: int) -> None:
        self.smoke.write_text(f'#!/bin/sh\necho "$1" > {self.folder / "smoked"}\nexit {code}\n')
        self.smoke.chmod(0o755)

    def change(self, **values: Any) -> None:
        self._file.write_text(json.dumps({**(self.kept if self._file.exists() else {}), **values}))

    @property
    def kept(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self._file.read_text())
        return loaded

    @property
    def config(self) -> dict[str, str]:
        return {key.removeprefix("queued-jobs:"): value for key, value in self.kept["config"].items()}

    def deploy(self, *arguments: str) -> int:
        return deploy.main(arguments, root=self.folder, smoke=self.smoke)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("az", "pulumi"):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT}/tests/infra/fake_{name}.py "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("FAKE_AZ", str(tmp_path / "az.json"))
    monkeypatch.setenv("FAKE_PULUMI", str(tmp_path / "pulumi.json"))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    return Machine(tmp_path)


def test_a_new_stack_is_configured_brought_up_and_proven(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.deploy(*ANSWERS) == 0
    assert machine.config == {
        "azure-native:location": "swedencentral",
        "databaseAdminName": "ann@example.com",
        "databaseAdminObjectId": ME,
        "databaseAdminType": "User",
        "deployerIp": "203.0.113.9",
        "alertEmails[0]": "ops@jobs.example",
        "workbook": "true",
    }
    assert ["up", "--stack", "dev", "--yes", "--non-interactive"] in machine.kept["log"]
    assert machine.kept["environment"]["PATH"].startswith(str(Path(sys.executable).parent))
    assert (machine.folder / "smoked").read_text().strip() == OUTPUTS["openUrl"]
    assert all(link in capsys.readouterr().out for link in (OUTPUTS["openUrl"],))


def test_a_second_run_asks_nothing_and_changes_no_configuration(machine: Machine) -> None:
    machine.deploy(*ANSWERS)
    before = machine.config
    assert machine.deploy("--yes") == 0
    assert machine.config == before


def test_without_a_login_the_state_stays_in_the_checkout_readable_by_its_owner_only(machine: Machine) -> None:
    machine.change(logged_in=False)
    assert machine.deploy(*ANSWERS) == 0
    environment = machine.kept["environment"]
    passphrase = Path(environment["PULUMI_CONFIG_PASSPHRASE_FILE"])
    assert environment["PULUMI_BACKEND_URL"] == f"file://{machine.folder / '.local' / 'state'}"
    assert passphrase.stat().st_mode & 0o077 == 0
    secret = passphrase.read_text()
    assert len(secret) >= 32
    machine.deploy("--yes")
    assert passphrase.read_text() == secret


def test_all_that_is_missing_is_told_at_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert machine.deploy(*ANSWERS) == 1
    told = capsys.readouterr().err
    assert "pulumi is not on PATH" in told
    assert "az is not on PATH" in told


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        ({"version": "v3.269.9"}, ANSWERS, "Install v3.270 or newer"),
        ({}, [*ANSWERS[2:], "--location", "atlantis"], "'atlantis' has no Flex Consumption plan"),
        ({}, ["--yes", "--location", "westeurope"], "--deployer-ip"),
        ({"up": 255}, ANSWERS, "Running it again is safe"),
    ],
)
def test_what_stops_it_is_told_with_a_remedy(
    machine: Machine,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    arguments: list[str],
    says: str,
) -> None:
    machine.change(**change)
    assert machine.deploy(*arguments) == 1
    assert says in capsys.readouterr().err
    assert not (machine.folder / "smoked").exists()


def test_a_stack_with_an_identity_provider_is_tried_with_a_token_and_says_so_without(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.change(by_invite=False)
    monkeypatch.delenv("SMOKE_TOKEN", raising=False)
    assert machine.deploy(*ANSWERS) == 0
    assert "NO JOB WAS RUN" in capsys.readouterr().out
    monkeypatch.setenv("SMOKE_TOKEN", "t")
    assert machine.deploy("--yes") == 0
    assert (machine.folder / "smoked").read_text().strip() == OUTPUTS["siteUrl"]


def test_a_stack_that_runs_no_job_is_no_success(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.smoke_ends_with(1)
    assert machine.deploy(*ANSWERS) == 1
    told = capsys.readouterr()
    assert "troubleshoot-azure.md" in told.err
    assert OUTPUTS["openUrl"] not in told.out


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--stack", "Bad Name", "stack name"),
        ("--stack", "x" * 41, "stack name"),
        ("--location", "West Europe", "region"),
        ("--email", "ops", "email address"),
        ("--deployer-ip", "192.168.1.5", "public IPv4 address"),
        ("--deployer-ip", "home", "public IPv4 address"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_asked(
    machine: Machine, capsys: pytest.CaptureFixture[str], option: str, value: str, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        machine.deploy(*ANSWERS, option, value)
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"scripts/deploy: error: argument {option}: {value!r} ")
    assert says in line
    assert machine.kept["log"] == []


def test_a_stack_that_is_still_the_sample_is_not_deployed(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    sample = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    machine.change(config=sample)
    assert machine.deploy(*ANSWERS[:2], "--deployer-ip", "-", "--stack", "prod", "--yes") == 1
    *_, issuer, emails = capsys.readouterr().err.splitlines()
    assert issuer.startswith("deploy   | queued-jobs:oidcIssuer: login.example.com ")
    assert emails.startswith("deploy   | queued-jobs:alertEmails: ops@example.com ")
    assert machine.kept["config"] == sample
    assert not any(command[0] == "up" for command in machine.kept["log"])


def test_ctrl_c_lets_pulumi_end_what_it_has_begun(machine: Machine) -> None:
    started, ended = (machine.folder / name for name in ("started", "ended"))
    pulumi = machine.folder / "bin" / "pulumi"
    # on the signal it still works for a while, as an engine does
    pulumi.write_text(
        f"#!/bin/sh\ntrap 'sleep 1; echo done > {ended}; exit 1' INT\ntouch {started}\nwhile :; do sleep 0.05; done\n"
    )
    up = f"DeployedStack('dev', root=Path({str(machine.folder)!r}), local_state=Path('/')).up(confirmed=True)"
    # a shell without job control has its background programs ignore the signal, and their children inherit that
    heed = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}\nfrom pathlib import Path\nfrom scripts.azure.stack import DeployedStack\n{up}"
    environment = {**os.environ, "PULUMI_BACKEND_URL": "file://", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(started.exists, "pulumi up has begun")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert ended.read_text() == "done\n"
    assert "pulumi up did not finish. Running it again is safe" in said
