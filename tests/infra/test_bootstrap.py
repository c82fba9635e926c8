"""scripts/bootstrap against a subscription in a file: makes what is missing, once, and tells what to do with it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from infra import roles
from infra.naming import Names
from scripts.azure import bootstrap
from tests.infra.fake_az import ME, SUBSCRIPTION
from tests.infra.program import ROOT

ARGUMENTS = ["--stack", "prod", "--location", "westeurope", "--repository", "ann/jobs"]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that holds subscription and directory; `az` on PATH works on it."""
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    az.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {ROOT / "tests" / "infra" / "fake_az.py"} "$@"\n')
    az.chmod(0o755)
    monkeypatch.setenv("PATH", f"{az.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_AZ", str(tmp_path / "cloud.json"))
    return tmp_path / "cloud.json"


def state(cloud: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(cloud.read_text())
    return loaded


def test_it_makes_all_that_a_pipeline_needs_and_nothing_the_second_time(
    cloud: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(ARGUMENTS) == 0
    first, told = state(cloud), capsys.readouterr().out
    assert set(bootstrap.PROVIDERS) <= set(first["providers"])
    assert (len(first["resources"]), first["containers"], first["keys"]) == (2, ["state"], ["pulumi"])
    apps = {app["displayName"]: app for app in first["apps"]}
    assert set(apps) == {f"queued-jobs-prod-{part}" for part in ("preview", "deploy", "sign-in")}
    subjects = {one["subject"] for known in first["federations"].values() for one in known}
    assert subjects == {"repo:ann/jobs:environment:preview", "repo:ann/jobs:environment:prod"}
    site = Names(project="queued-jobs", stack="prod", subscription_id=SUBSCRIPTION).site
    assert apps["queued-jobs-prod-sign-in"]["spa"]["redirectUris"] == [f"{site}/"]
    assert f"AZURE_DEPLOY_CLIENT_ID={apps['queued-jobs-prod-deploy']['appId']}" in told

    assert bootstrap.main(ARGUMENTS) == 0
    again = state(cloud)
    assert "0 changes" in capsys.readouterr().out
    assert {key: value for key, value in again.items() if key != "log"} == {
        key: value for key, value in first.items() if key != "log"
    }


def test_the_pipeline_may_grant_the_applications_roles_only_and_a_preview_may_change_nothing(cloud: Path) -> None:
    bootstrap.main(ARGUMENTS)
    now = state(cloud)
    apps = {app["displayName"].rpartition("-")[2]: app["appId"] for app in now["apps"]}
    principals = {one["appId"]: one["id"] for one in now["principals"]}
    granted: dict[str, dict[str, Any]] = {}
    for one in now["assignments"]:
        granted.setdefault(one["principalId"], {})[one["roleDefinitionName"]] = one
    assert set(granted[principals[apps["preview"]]]) == {"Reader", "Storage Blob Data Reader", "Key Vault Crypto User"}
    condition = granted[principals[apps["deploy"]]]["Role Based Access Control Administrator"]["condition"]
    assert all(role in condition for role in roles.APPLICATION)
    assert set(granted[ME]) == {"Storage Blob Data Contributor", "Key Vault Crypto User"}
    (user,) = now["granted"]
    assert user["principalId"] == principals[apps["deploy"]]
    assert user["resourceId"] == principals[apps["in"]]
    assert user["appRoleId"] in {
        role["id"] for app in now["apps"] for role in app.get("appRoles", []) if role["value"] == "user"
    }
    (members,) = now["members"].values()
    assert set(members) == {ME, principals[apps["deploy"]]}


def test_a_dry_run_changes_nothing_and_shows_each_command(cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main([*ARGUMENTS, "--dry-run"]) == 0
    told = capsys.readouterr().out
    now = state(cloud)
    assert not any(now[key] for key in ("groups", "resources", "apps", "assignments", "federations", "members"))
    for part in ("keyvault create", "storage account create", "ad app create", "role assignment create", "--condition"):
        assert part in told
    assert "changes would be made" in told


def test_another_repository_replaces_the_trust_in_the_former_one(cloud: Path) -> None:
    bootstrap.main(ARGUMENTS)
    bootstrap.main([*ARGUMENTS[:-1], "ann/renamed"])
    subjects = {one["subject"] for known in state(cloud)["federations"].values() for one in known}
    assert subjects == {"repo:ann/renamed:environment:preview", "repo:ann/renamed:environment:prod"}


def test_what_it_prints_for_the_stack_is_valid_configuration(cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.main(ARGUMENTS)
    told = capsys.readouterr().out.partition("For Pulumi.prod.yaml:\n")[2]
    printed = yaml.safe_load(told.partition("\n\n")[0])
    project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert project["name"] == bootstrap.PROJECT
    declared = project["config"]
    keys = {key.removeprefix("queued-jobs:") for key in printed["config"]} - {"azure-native:location"}
    assert keys <= set(declared)
    assert "pulumi stack init prod --secrets-provider=azurekeyvault://kv-pulumi-" in told


def test_without_the_azure_cli_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert bootstrap.main(ARGUMENTS) == 1
    assert "no az on PATH" in capsys.readouterr().err
