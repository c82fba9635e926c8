"""The pipeline: valid workflows, actions pinned by commit, and no token where a stranger's code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.infra.program import ROOT
from tools.rehearsal.workflow_linter import find_or_build

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a truth
    loaded = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in loaded.items()}


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


def test_the_published_schema_accepts_all_workflows() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    checked = subprocess.run([*command, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def actionlint() -> Path:
    return find_or_build(print)


def lint(actionlint: Path, *workflows: Path) -> subprocess.CompletedProcess[str]:
    # without the checkers of scripts that some machines have
    command = [str(actionlint), "-shellcheck=", "-pyflakes=", "-no-color", *map(str, workflows)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_names_in_workflows_and_their_expressions_exist(actionlint: Path) -> None:
    checked = lint(actionlint, *WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("needs: test", "needs: tests"),
        ("steps.stack.outputs.siteUrl", "steps.stacks.outputs.siteUrl"),
        ("github.event_name == 'push' && vars", "github.event_name == 'push' && var"),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-42.04"),
        ("environment: prod", "enviroment: prod"),
    ],
)
def test_a_mistake_is_found(actionlint: Path, tmp_path: Path, right: str, wrong: str) -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()
    assert right in text
    file = tmp_path / "deploy.yml"
    file.write_text(
        text.replace(right, wrong).replace("./.github/workflows/test.yml", "a/b/.github/workflows/c.yml@v1")
    )
    assert lint(actionlint, file).returncode == 1


def test_there_is_something_to_check() -> None:
    assert {path.name for path in WORKFLOWS} >= {"test.yml", "deploy.yml", "release.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version_beside(path: Path) -> None:
    # a workflow of this repository comes from the same commit
    lines = [line for line in path.read_text().splitlines() if re.search(r"\buses: (?!\./\.github/workflows/)", line)]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    pins = re.findall(r"uses: (\S+)@(\S+)", "".join(one.read_text() for one in WORKFLOWS))
    assert len(dict(pins)) == len(set(pins)), "one action at two commits"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_given_to_single_jobs_and_no_secret_is_read(path: Path) -> None:
    text, workflow = path.read_text(), load(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in text
    assert "secrets." not in text
    for job in workflow["jobs"].values():
        assert set(job["permissions"]) <= {"contents", "id-token", "pull-requests"}
        assert job["permissions"]["contents"] == "read"
        assert "uses" in job or job["timeout-minutes"] <= 90
    for step in steps(path):
        assert "${{" not in step.get("run", ""), "an expression in a script can be written by a stranger"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_tokens_are_for_own_branches_and_behind_an_environment() -> None:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            if "id-token" in job["permissions"]:
                assert job["environment"] == {"preview": "preview", "up": "prod", "publish": "pypi"}[name]
    jobs = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    assert "head.repo.full_name == github.repository" in jobs["preview"]["if"]
    assert "github.event_name == 'push'" in jobs["up"]["if"]
    assert jobs["up"]["concurrency"] == {"group": "stack-${{ vars.PULUMI_STACK }}", "cancel-in-progress": False}
    assert jobs["preview"]["env"]["ARM_CLIENT_ID"] != jobs["up"]["env"]["ARM_CLIENT_ID"]


def test_a_preview_gets_neither_the_state_nor_the_key_of_the_stack(tmp_path: Path) -> None:
    job = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["preview"]
    assert "PULUMI_BACKEND_URL" not in yaml.safe_dump(job)
    (preview,) = (step for step in job["steps"] if step.get("with", {}).get("command") == "preview")
    assert preview["with"]["cloud-url"] == "file://${{ runner.temp }}/state"
    assert "secrets-provider" not in preview["with"]
    (prepare,) = (step for step in job["steps"] if step.get("id") == "state")
    config = {"a:plain": 1, "a:secret": "withheld", "a:more": {"secret": "withheld", "list": ["withheld", "x"]}}
    (tmp_path / "Pulumi.prod.yaml").write_text(
        "secretsprovider: azurekeyvault://kv-pulumi-a.vault.azure.net/keys/pulumi\nencryptedkey: abc==\n"
        "config:\n  a:plain: 1\n  a:secret:\n    secure: v1:a:b==\n"
        "  a:more:\n    secret:\n      secure: v1:c:d\n    list:\n      - secure: v1:e:f\n      - x\n"
        "encryptionsalt: v1:g:h\n"
    )
    environment = {"PATH": os.defpath, "RUNNER_TEMP": str(tmp_path), "STACK": "prod"}
    subprocess.run(["sh", "-ec", prepare["run"]], cwd=tmp_path, env=environment, check=True)
    assert yaml.safe_load((tmp_path / "Pulumi.prod.yaml").read_text()) == {"config": config}
    assert (tmp_path / "state").is_dir()


def test_nothing_is_deployed_before_every_check_has_passed_on_that_commit() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]
    assert jobs["up"]["needs"] == "test"
    # a word about the state of jobs would let `up` run although the checks failed
    assert not re.search(r"always\(|cancelled\(|failure\(|success\(", jobs["up"]["if"])
    assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
    assert jobs["test"]["if"] == "github.event_name == 'push'"
    called = load(ROOT / ".github" / "workflows" / "test.yml")
    assert set(called["on"]) == {"pull_request", "workflow_call"}
    commands = [step.get("run") for job in called["jobs"].values() for step in job["steps"]]
    assert {"./scripts/test", "./scripts/rehearse"} <= set(commands)
    assert not any("if" in job or "continue-on-error" in job for job in called["jobs"].values())


def test_only_a_tag_is_released_after_all_checks_and_beside_the_token_runs_no_other_code() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "release.yml")
    jobs = workflow["jobs"]
    assert workflow["on"] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert (jobs["test"]["uses"], jobs["build"]["needs"]) == ("./.github/workflows/test.yml", "test")
    assert jobs["publish"]["needs"] == "build"
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]
    runs = [step["run"] for step in jobs["publish"]["steps"] if "run" in step]
    assert runs == [
        "python3 -m pip install --require-hashes -r locks/build.txt",
        "uv publish --trusted-publishing always",
    ]


@pytest.mark.parametrize(("tag", "code"), [("v1.2.3", 0), ("v1.2.30", 1), ("v1", 1)])
def test_a_tag_that_is_not_the_version_is_refused(tmp_path: Path, tag: str, code: int) -> None:
    build = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["build"]
    (compare,) = (step for step in build["steps"] if "tag" in step.get("name", ""))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1.2.3"\n')
    environment = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "GITHUB_REF_NAME": tag}
    done = subprocess.run(
        ["sh", "-ec", compare["run"]], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == code


def test_the_stack_is_smoked_after_it_was_brought_up() -> None:
    up = load(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["up"]["steps"]
    order = [step.get("with", {}).get("command") or step.get("id") for step in up]
    assert order.index("up") < order.index("smoke")
    assert "roll back" in up[-1]["name"]
    assert up[-1]["if"].startswith("failure()")


def test_every_command_of_a_workflow_exists() -> None:
    for path in WORKFLOWS:
        for step in steps(path):
            for script in re.findall(r"(?:\./)?(scripts/[\w/.]+)", step.get("run", "")):
                assert (ROOT / script).exists(), script
