"""scripts/bootstrap against a subscription in a file: makes what is missing, once, and tells what to do with it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import rsa

from api.http.problems import Problem
from api.sign_in.key_set import KeySet
from api.sign_in.oidc import OidcAuthenticator
from infra import roles
from infra.naming import Names
from infra.project import PROJECT
from scripts.azure import bootstrap
from scripts.azure.providers import PROVIDERS
from settings import OidcSettings, Settings
from tests.infra.fake_az import GRAPH, ME, SUBSCRIPTION, TENANT
from tests.infra.fake_gh import Repo
from tests.infra.program import PROD, ROOT, Case, run_program

ARGUMENTS = ["--stack", "prod", "--location", "westeurope", "--repository", "ann/jobs"]


def use_azure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an `az` on PATH that works on a file in the folder, and a `gh` that knows ann/jobs; return the file."""
    (folder / "bin").mkdir()
    for name in ("az", "gh"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT}/tests/infra/fake_{name}.py "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_AZ", str(folder / "cloud.json"))
    monkeypatch.setenv("FAKE_GH", str(folder / "github.json"))
    Repo().write(folder / "github.json")
    return folder / "cloud.json"


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that holds an empty subscription and directory."""
    return use_azure(tmp_path, monkeypatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What one run made of an empty subscription, and what it printed."""

    text: str
    told: str

    @property
    def state(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.text)
        return loaded

    @property
    def apps(self) -> dict[str, dict[str, Any]]:
        return registrations(self.state)

    @property
    def stack_file(self) -> dict[str, Any]:
        printed = self.told.partition("For Pulumi.prod.yaml:\n")[2].partition("\n\n")[0]
        config: dict[str, Any] = yaml.safe_load(printed)["config"]
        return config


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    with pytest.MonkeyPatch.context() as patch:
        file = use_azure(tmp_path_factory.mktemp("azure"), patch)
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert bootstrap.main(ARGUMENTS) == 0
        return Prepared(text=file.read_text(), told=printed.getvalue())


def state(cloud: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(cloud.read_text())
    return loaded


def registrations(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the applications by the last word of their names."""
    return {app["displayName"].rpartition("-")[2]: app for app in state["apps"]}


class OneKey(KeySet):
    """The directory's published keys: this one."""

    def __init__(self, issuer: str, key: rsa.RSAPrivateKey) -> None:
        super().__init__(issuer)
        self._key = key.public_key()

    async def find(self, _key_id: str, _algorithm: str) -> Any:
        return self._key


def test_it_makes_all_that_a_pipeline_needs_and_nothing_the_second_time(
    prepared: Prepared, cloud: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = prepared.state
    assert set(PROVIDERS) <= set(first["providers"])
    assert (len(first["resources"]), first["containers"], first["keys"]) == (2, ["state"], ["pulumi"])
    names = {app["displayName"] for app in first["apps"]}
    assert names == {f"{PROJECT}-prod-{part}" for part in ("preview", "deploy", "api", "page")}
    for part in ("preview", "deploy", "api"):
        assert f"AZURE_{part.upper()}_CLIENT_ID={prepared.apps[part]['appId']}\n" in prepared.told

    cloud.write_text(prepared.text)
    assert bootstrap.main(ARGUMENTS) == 0
    assert "0 changes" in capsys.readouterr().out
    assert {**state(cloud), "log": []} == {**first, "log": []}


def test_the_pipeline_may_grant_the_applications_roles_only_and_a_preview_reads_no_state(
    prepared: Prepared,
) -> None:
    now = prepared.state
    principals = {one["appId"]: one["id"] for one in now["principals"]}
    ours = {part: principals[app["appId"]] for part, app in prepared.apps.items()}
    granted: dict[str, dict[str, Any]] = {}
    for one in now["assignments"]:
        granted.setdefault(one["principalId"], {})[one["roleDefinitionName"]] = one
    assert set(granted[ours["preview"]]) == {"Reader"}
    condition = granted[ours["deploy"]]["Role Based Access Control Administrator"]["condition"]
    assert all(role in condition for role in roles.APPLICATION)
    assert set(granted[ME]) == {"Storage Blob Data Contributor", "Key Vault Crypto User"}
    (user,) = now["granted"]
    assert (user["principalId"], user["resourceId"]) == (ours["deploy"], ours["api"])
    assert user["appRoleId"] in {role["id"] for role in prepared.apps["api"]["appRoles"] if role["value"] == "user"}
    (members,) = now["members"].values()
    assert set(members) == {ME, ours["deploy"]}


def test_roles_of_previews_from_an_earlier_run_are_reported(
    prepared: Prepared, cloud: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = prepared.state
    client = prepared.apps["preview"]["appId"]
    (preview,) = (one["id"] for one in now["principals"] if one["appId"] == client)
    scopes = {one["roleDefinitionName"]: one["scope"] for one in now["assignments"] if "/providers/" in one["scope"]}
    former = ("Storage Blob Data Reader", "Key Vault Crypto User")
    scopes["Storage Blob Data Reader"] = scopes["Storage Blob Data Contributor"]
    now["assignments"] += [
        {"principalId": preview, "roleDefinitionName": role, "scope": scopes[role], "condition": ""} for role in former
    ]
    cloud.write_text(json.dumps(now))
    assert bootstrap.main(ARGUMENTS) == 0
    printed = capsys.readouterr().out
    for role in former:
        command = f"az role assignment delete --assignee {preview} --role '{role}' --scope {scopes[role].lower()}\n"
        assert command in printed


def test_a_dry_run_changes_nothing_and_shows_each_command(cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main([*ARGUMENTS, "--dry-run"]) == 0
    told = capsys.readouterr().out
    now = state(cloud)
    assert not any(now[key] for key in ("groups", "resources", "apps", "assignments", "federations", "members"))
    for part in ("keyvault create", "storage account create", "ad app create", "role assignment create", "--condition"):
        assert part in told
    assert "changes would be made" in told


def test_api_and_page_are_two_registrations_and_the_page_asks_for_the_apis_scope(prepared: Prepared) -> None:
    apps = prepared.apps
    api, page = apps["api"], apps["page"]
    assert {app["signInAudience"] for app in apps.values()} == {"AzureADMyOrg"}
    assert api["identifierUris"] == [f"api://{api['appId']}"]
    assert api["api"]["requestedAccessTokenVersion"] == 2
    assert [role["value"] for role in api["appRoles"]] == ["user", "viewer", "admin"]
    (scope,) = api["api"]["oauth2PermissionScopes"]
    assert (scope["value"], scope["type"], scope["isEnabled"]) == ("access_as_user", "User", True)
    assert api["api"]["preAuthorizedApplications"] == [
        {"appId": page["appId"], "delegatedPermissionIds": [scope["id"]]}
    ]
    # a page has no secret, so the API has no page, and the page is not an API
    site = Names(project=PROJECT, stack="prod", subscription_id=SUBSCRIPTION).site
    assert (page["spa"]["redirectUris"], api["spa"]["redirectUris"]) == ([f"{site}/"], [])
    assert (page["appRoles"], page["identifierUris"], page["api"]["oauth2PermissionScopes"]) == ([], [], [])
    asked = {one["resourceAppId"]: one["resourceAccess"] for one in page["requiredResourceAccess"]}
    assert asked[api["appId"]] == [{"id": scope["id"], "type": "Scope"}]
    assert len(asked[GRAPH]) == 3


def test_what_somebody_added_by_hand_stays_and_what_is_missing_comes_back(prepared: Prepared, cloud: Path) -> None:
    now = prepared.state
    api, page = (registrations(now)[part] for part in ("api", "page"))
    report = {"id": "r", "value": "report", "isEnabled": True, "allowedMemberTypes": ["User"]}
    other = {"id": "o", "value": "other", "isEnabled": True}
    api["appRoles"] = [report, *api["appRoles"][:2]]
    api["api"]["oauth2PermissionScopes"].append(other)
    api["api"]["preAuthorizedApplications"] = [{"appId": "tool", "delegatedPermissionIds": ["o"]}]
    api["api"]["requestedAccessTokenVersion"] = 1
    page["spa"]["redirectUris"] = ["https://intranet.example.com/"]
    page["requiredResourceAccess"] = [{"resourceAppId": GRAPH, "resourceAccess": [{"id": "u", "type": "Scope"}]}]
    cloud.write_text(json.dumps(now))
    assert bootstrap.main(ARGUMENTS) == 0
    apps = registrations(state(cloud))
    assert [role["value"] for role in apps["api"]["appRoles"]] == ["report", "user", "viewer", "admin"]
    assert [scope["value"] for scope in apps["api"]["api"]["oauth2PermissionScopes"]] == ["access_as_user", "other"]
    trusted = [one["appId"] for one in apps["api"]["api"]["preAuthorizedApplications"]]
    assert trusted == ["tool", page["appId"]]
    assert apps["api"]["api"]["requestedAccessTokenVersion"] == 2
    assert len(apps["page"]["spa"]["redirectUris"]) == 2
    assert [len(one["resourceAccess"]) for one in apps["page"]["requiredResourceAccess"]] == [4, 1]


async def test_the_api_takes_tokens_for_itself_and_no_id_token_of_the_page(prepared: Prepared) -> None:
    """Tokens as the directory makes them from these registrations, against the settings that bootstrap prints."""
    api, page = (prepared.apps[part]["appId"] for part in ("api", "page"))
    printed = {key: str(value) for key, value in prepared.stack_file.items()}
    (ran,) = run_program(Case(stack="prod", config={**PROD, **printed}))
    settings = Settings.from_environment({**ran.app_settings, "WEBSITE_SITE_NAME": "func"}).sign_in
    assert isinstance(settings, OidcSettings)
    assert (settings.audience, settings.client_id) == (api, page)
    assert settings.scope == f"openid profile offline_access api://{api}/access_as_user"
    key = rsa.generate_private_key(65537, 2048)

    def token(**claims: object) -> str:
        now = time.time()
        times = {"iat": now, "exp": now + 600}
        always = {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "sub": "s", "tid": TENANT, "oid": "ann"}
        return jwt.encode({**always, **times, **claims}, key, "RS256", headers={"kid": "1"})

    authenticator = OidcAuthenticator(settings, OneKey(settings.issuer, key))
    access = token(aud=api, azp=page, scp="access_as_user", roles=["admin"])
    assert (await authenticator.authenticate(access)).roles >= {"admin"}
    of_the_pipeline = token(aud=api, idtyp="app", roles=["user"])
    assert (await authenticator.authenticate(of_the_pipeline)).roles == {"user"}
    for id_token in (token(aud=page, nonce="n"), token(aud=page, nonce="n", scp="access_as_user", roles=["admin"])):
        with pytest.raises(Problem) as caught:
            await authenticator.authenticate(id_token)
        assert caught.value.status_code == 401


def test_it_waits_until_its_new_roles_have_an_effect(
    cloud: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "_PAUSE", timedelta())
    cloud.write_text(json.dumps({"lag": 3}))
    assert bootstrap.main(ARGUMENTS) == 0
    assert state(cloud)["lag"] == 0
    cloud.write_text(json.dumps({"lag": 3}))
    monkeypatch.setattr(bootstrap, "_EFFECTIVE_WITHIN", timedelta(days=-1))
    assert bootstrap.main(ARGUMENTS) == 0
    assert "azure    | NOTE" in capsys.readouterr().out


def test_a_stack_that_is_created_again_has_another_site(cloud: Path, prepared: Prepared) -> None:
    cloud.write_text(prepared.text)
    assert bootstrap.main([*ARGUMENTS, "--generation", "2"]) == 0
    sites = [
        Names(project=PROJECT, stack="prod", subscription_id=SUBSCRIPTION, generation=number).site for number in (1, 2)
    ]
    assert registrations(state(cloud))["page"]["spa"]["redirectUris"] == [f"{site}/" for site in sites]


def test_what_it_prints_for_the_stack_is_valid_configuration(prepared: Prepared) -> None:
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    keys = {key.removeprefix(f"{PROJECT}:") for key in prepared.stack_file}
    assert keys - {"azure-native:location", "azure-native:subscriptionId"} <= set(project["config"])
    assert prepared.stack_file["azure-native:subscriptionId"] == SUBSCRIPTION
    assert "pulumi stack init prod --secrets-provider=azurekeyvault://kv-pulumi-" in prepared.told


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--stack", "Prod", "stack name"),
        ("--location", "West Europe", "region"),
        ("--repository", "jobs", "OWNER/NAME"),
        ("--repository", "ann@71/jobs", "OWNER/NAME"),
        ("--repository", "ann/jobs@4217", "OWNER/NAME"),
        ("--repository", "ann@x/jobs@4217", "OWNER/NAME"),
        ("--repository", "https://github.com/ann/jobs", "OWNER/NAME"),
        ("--subject", "repo:ann/jobs:environment:prod", "{environment}"),
        ("--subject", "repo:ann/*:environment:{environment}", "{environment}"),
        ("--issuer", "https://token.actions.githubusercontent.com/", "issuer"),
        ("--issuer", "http://token.example", "https"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_asked(
    cloud: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        bootstrap.main([*ARGUMENTS, "--dry-run", option, value])
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"scripts/bootstrap: error: argument {option}: {value!r} ")
    assert says in line
    assert not cloud.exists()


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("ERROR: Please run\n 'az login' to setup account.", "Run `az login`."),
        ("ERROR: /me request is only valid with delegated authentication flow.", "`az login`"),
        ("ERROR: Insufficient privileges to complete\nthe operation.", "register applications"),
        ("ERROR: (AuthorizationFailed) The client\ndoes not have authorization", "the role Owner"),
    ],
)
def test_what_azure_refuses_is_one_line_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, remedy: str
) -> None:
    az = use_azure(tmp_path, monkeypatch).parent / "bin" / "az"
    az.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\nexit 1\n")
    assert bootstrap.main(ARGUMENTS) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bootstrap: az account show failed: ERROR: ")
    assert remedy in line


def test_without_the_azure_cli_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert bootstrap.main(ARGUMENTS) == 1
    assert "az is not on PATH" in capsys.readouterr().err
