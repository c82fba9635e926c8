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

from infra.credentials import OTHER_IDENTITIES, NotSignedIn, deployer_credential
from infra.naming import Names
from infra.project import PROJECT
from scripts.azure import deploy
from scripts.azure.providers import PROVIDERS
from tests.infra.fake_az import ME, OTHER_SUBSCRIPTION, SUBSCRIPTION
from tests.infra.fake_pulumi import OUTPUTS
from tests.infra.program import ROOT
from tests.support.waiting import wait_until

SAMPLE = {
    "azure-native:location": "westeurope",
    f"{PROJECT}:databaseAdminName": "you@example.com",
    f"{PROJECT}:databaseAdminObjectId": "00000000-0000-0000-0000-000000000000",
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
    def config(self) -> dict[str, Any]:
        return {key.removeprefix(f"{PROJECT}:"): value for key, value in self.kept["config"].items()}

    def change_azure(self, **values: Any) -> None:
        (self.folder / "az.json").write_text(json.dumps(values))

    @property
    def azure(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "az.json").read_text())
        return loaded

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
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN", "ARM_SUBSCRIPTION_ID", *OTHER_IDENTITIES):
        monkeypatch.delenv(name, raising=False)
    return Machine(tmp_path)


def test_a_new_stack_is_configured_brought_up_and_proven(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.deploy(*ANSWERS) == 0
    assert machine.config == {
        "azure-native:location": "swedencentral",
        "databaseAdminName": "ann@example.com",
        "databaseAdminObjectId": ME,
        "databaseAdminType": "User",
        "deployerIp": "203.0.113.9",
        "azure-native:subscriptionId": SUBSCRIPTION,
        "alertEmails": ["ops@jobs.example"],
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
        ({}, [*ANSWERS[2:], "--location", "atlantis"], "'atlantis' does not offer"),
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
    assert issuer.startswith(f"deploy   | {PROJECT}:oidcIssuer: login.example.com ")
    assert emails.startswith(f"deploy   | {PROJECT}:alertEmails: ops@example.com ")
    assert machine.kept["config"] == sample
    assert not any(command[0] == "up" for command in machine.kept["log"])


def test_options_change_the_settings_of_a_stack_that_exists(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.deploy(*ANSWERS)
    two = ["--email", "a@jobs.example", "--email", "b@jobs.example"]
    assert machine.deploy("--yes", "--deployer-ip", "-", *two) == 0
    assert "deployerIp" not in machine.config
    assert machine.config["alertEmails"] == ["a@jobs.example", "b@jobs.example"]
    capsys.readouterr()
    assert machine.deploy("--yes", "--email", "c@jobs.example") == 0
    assert machine.config["alertEmails"] == ["c@jobs.example"]
    assert "alertEmails: a@jobs.example, b@jobs.example -> c@jobs.example" in capsys.readouterr().out
    assert machine.deploy("--yes", "--email", "-") == 0
    assert "alertEmails" not in machine.config


def test_it_names_the_subscription_and_the_state_that_pulumi_uses(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", OTHER_SUBSCRIPTION)
    machine.change_azure(providers=[])
    assert machine.deploy(*ANSWERS) == 0
    said = capsys.readouterr().out
    assert OTHER_SUBSCRIPTION in said
    assert SUBSCRIPTION not in said
    assert "https://api.pulumi.com" in said
    assert machine.config["azure-native:subscriptionId"] == OTHER_SUBSCRIPTION
    registered = [command for command in machine.azure["log"] if command[:2] == ["provider", "register"]]
    assert {command[command.index("--namespace") + 1] for command in registered} == set(PROVIDERS)
    assert all(OTHER_SUBSCRIPTION in command for command in registered)
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID")
    assert machine.deploy("--yes") == 0
    assert OTHER_SUBSCRIPTION in capsys.readouterr().out


@pytest.mark.parametrize("remembered", ["credentials", "variable"])
def test_an_expired_login_does_not_lead_to_another_state(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], remembered: str
) -> None:
    machine.change(logged_in=False)
    place = "azblob://state?storage_account=acme"
    if remembered == "credentials":
        (machine.folder / "pulumi-home").mkdir()
        (machine.folder / "pulumi-home" / "credentials.json").write_text(json.dumps({"current": place}))
    else:
        monkeypatch.setenv("PULUMI_BACKEND_URL", place)
    assert machine.deploy(*ANSWERS) == 1
    assert place in capsys.readouterr().err
    assert not (machine.folder / ".local").exists()
    assert machine.config["databaseAdminName"] == SAMPLE[f"{PROJECT}:databaseAdminName"]


def test_a_stack_of_this_checkouts_own_state_is_not_created_a_second_time(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    own = machine.folder / ".local" / "state" / ".pulumi" / "stacks" / PROJECT / "dev.json"
    own.parent.mkdir(parents=True)
    own.touch()
    assert machine.deploy(*ANSWERS) == 1
    assert str(own) in capsys.readouterr().err
    assert not any(command[0] == "up" for command in machine.kept["log"])


NAMES = Names(project=PROJECT, stack="dev", subscription_id=SUBSCRIPTION)


@pytest.mark.parametrize(
    ("azure", "says"),
    [
        ({"sizes": ["Standard_D2ds_v5"]}, "Standard_B1ms"),
        ({"sizes": []}, "Standard_B1ms"),
        ({"groups": [NAMES.resource_group]}, NAMES.resource_group),
        ({"kept_names": [NAMES.of("psql")]}, f"pulumi config set {PROJECT}:generation 2"),
    ],
)
def test_what_azure_would_refuse_at_the_end_is_asked_at_the_beginning(
    machine: Machine, capsys: pytest.CaptureFixture[str], azure: dict[str, Any], says: str
) -> None:
    machine.change_azure(**azure)
    assert machine.deploy(*ANSWERS) == 1
    assert says in capsys.readouterr().err
    assert machine.kept["config"] == SAMPLE
    assert not any(command[0] == "up" for command in machine.kept["log"])


def test_another_generation_of_the_names_is_free(machine: Machine) -> None:
    machine.change_azure(kept_names=[NAMES.of("psql")])
    machine.change(config={**SAMPLE, f"{PROJECT}:generation": "2"})
    assert machine.deploy(*ANSWERS) == 0


def test_a_region_without_zones_has_no_standby(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine.change_azure(standby="Disabled")
    machine.change(config={**SAMPLE, f"{PROJECT}:profile": "prod"})
    assert machine.deploy(*ANSWERS) == 1
    assert f"{PROJECT}:highAvailability false" in capsys.readouterr().err
    machine.change(config={**SAMPLE, f"{PROJECT}:profile": "prod", f"{PROJECT}:highAvailability": "false"})
    assert machine.deploy(*ANSWERS) == 0


@pytest.mark.parametrize(
    ("admin", "environment", "accepted"),
    [
        ({"Type": "User", "ObjectId": ME}, {}, True),
        ({"Type": "User", "ObjectId": OTHER_SUBSCRIPTION}, {}, False),
        ({"Type": "Group", "ObjectId": "ours"}, {}, True),
        ({"Type": "Group", "ObjectId": "theirs"}, {}, False),
        ({"Type": "ServicePrincipal", "ObjectId": OTHER_SUBSCRIPTION}, {}, False),
        ({"Type": "ServicePrincipal", "ObjectId": OTHER_SUBSCRIPTION}, {"ARM_CLIENT_SECRET": "s"}, True),
        ({"Type": "User", "ObjectId": ME}, {"ARM_USE_MSI": "true"}, False),
    ],
)
def test_only_the_databases_administrator_deploys(
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    admin: dict[str, str],
    environment: dict[str, str],
    accepted: bool,
) -> None:
    machine.deploy(*ANSWERS)
    changed = {f"{PROJECT}:databaseAdmin{name}": value for name, value in admin.items()}
    machine.change(config={**machine.kept["config"], **changed, f"{PROJECT}:databaseAdminName": "jobs-admins"})
    machine.change_azure(members={"ours": [ME]})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert machine.deploy("--yes") == (0 if accepted else 1)
    assert ("jobs-admins" in capsys.readouterr().err) is not accepted


def test_whoever_may_not_read_the_directory_is_left_to_the_database(machine: Machine) -> None:
    machine.deploy(*ANSWERS)
    group = {f"{PROJECT}:databaseAdminType": "Group", f"{PROJECT}:databaseAdminObjectId": "theirs"}
    machine.change(config={**machine.kept["config"], **group})
    machine.change_azure(hidden=True)
    assert machine.deploy("--yes") == 0


@pytest.mark.parametrize("variable", OTHER_IDENTITIES)
def test_the_variables_of_other_identities_are_those_that_pulumi_reads(variable: str) -> None:
    certificate = variable == "ARM_CLIENT_CERTIFICATE_PATH"
    environment = {"ARM_TENANT_ID": ME, "ARM_CLIENT_ID": ME, "ARM_OIDC_TOKEN": "t", variable: "true"}
    try:
        kind = type(deployer_credential(environment)).__name__
    except NotSignedIn:
        assert certificate  # which is not a file
    else:
        assert kind != type(deployer_credential({})).__name__


def test_ctrl_c_lets_pulumi_end_what_it_has_begun(machine: Machine) -> None:
    started, ended = (machine.folder / name for name in ("started", "ended"))
    pulumi = machine.folder / "bin" / "pulumi"
    # on the signal it still works for a while, as an engine does
    pulumi.write_text(
        f"#!/bin/sh\n[ $1 = whoami ] && exit\ntrap 'sleep 1; echo done > {ended}; exit 1' INT\n"
        f"touch {started}\nwhile :; do sleep 0.05; done\n"
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
