"""Who may sign in as the pipeline: jobs of this repository alone, whichever way GitHub names it in their tokens."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from scripts.azure import bootstrap
from scripts.azure.bootstrap import _check_environment
from scripts.azure.cli import AzureCli, AzureError
from scripts.azure.directory import ensure_federation
from scripts.azure.github import Repository, find_gaps, find_subjects
from tests.infra.fake_az import Azure
from tests.infra.fake_gh import ISSUER, PROTECTED, REVIEWERS, Repo
from tests.infra.program import ROOT
from tests.infra.test_bootstrap import use_azure

ARGUMENTS = ["--stack", "prod", "--location", "westeurope", "--repository"]
ENVIRONMENTS = ("preview", "prod")
BY_IDS = ("repository_owner_id", "repository_id", "context")

BORN_SINCE = Repo()
BORN_BEFORE = Repo(is_immutable=False)
#: Repositories in all the states in which GitHub documents, or people have met, their tokens.
REPOSITORIES = {
    "new": BORN_SINCE,
    "old": BORN_BEFORE,
    "no prefix told, new": replace(BORN_SINCE, says_prefix=False),
    "no prefix told, old": replace(BORN_BEFORE, says_prefix=False),
    "capitals": Repo(owner="Ann-Corp", name="My.Jobs_2"),
    "capitals, old": Repo(owner="Ann-Corp", name="My.Jobs_2", is_immutable=False),
    "another spelling in tokens": Repo(owner="ann", spelled="Ann"),
    "another spelling in tokens, old": Repo(owner="ann", spelled="Ann", is_immutable=False),
    "customised by ids": Repo(keys=BY_IDS),
    "customised by repo": Repo(keys=("repo", "repository_owner_id", "environment")),
    "customised by repo, old": Repo(keys=("repo", "context"), is_immutable=False),
    "customised by its organization": Repo(organization_keys=("repository_owner", "repository", "context")),
}


class Cloud:
    """A directory, and GitHub, in files: what is made of them, and whom the directory lets in."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def github_has(self, repo: Repo) -> None:
        repo.write(self.file.parent / "github.json")

    def bootstrap(self, repository: str, *options: str) -> int:
        return bootstrap.main([*ARGUMENTS, repository, *options])

    def trust(self, repository: str) -> None:
        """Do what bootstrap does of it."""
        parsed = Repository.parse(repository)
        assert parsed is not None
        subjects = find_subjects(parsed)
        for environment, client in self.clients.items():
            ensure_federation(AzureCli(), client, issuer=ISSUER, subjects=subjects.of(environment))

    @property
    def state(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.file.read_text())
        return loaded

    @property
    def clients(self) -> dict[str, str]:
        """The client ids by the environment whose jobs sign in with them."""
        by_name = {app["displayName"].rpartition("-")[2]: app["appId"] for app in self.state["apps"]}
        return {"preview": by_name["preview"], "prod": by_name["deploy"]}

    def sign_in(self, token: str, *, to: str) -> str:
        """Try as azure/login does; return the code of the error, or nothing where it is let in."""
        options = defaultdict(str, {"--username": self.clients[to], "--federated-token": token})
        try:
            Azure(self.state).login(options)
        except SystemExit as refused:
            return str(refused.code).removeprefix("fake az: ").partition(":")[0]
        return ""


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A subscription in which bootstrap has run, before anybody was trusted."""
    with pytest.MonkeyPatch.context() as patch:
        file = use_azure(tmp_path_factory.mktemp("azure"), patch)
        assert bootstrap.main([*ARGUMENTS, "ann/jobs"]) == 0
        return json.dumps({**json.loads(file.read_text()), "federations": {}, "log": []})


@pytest.fixture
def cloud(registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    file = use_azure(tmp_path, monkeypatch)
    file.write_text(registered)
    return Cloud(file)


@pytest.mark.parametrize("repo", REPOSITORIES.values(), ids=REPOSITORIES.keys())
def test_jobs_sign_in_to_the_identity_of_their_environment_and_to_no_other(cloud: Cloud, repo: Repo) -> None:
    cloud.github_has(repo)
    cloud.trust(f"{repo.owner}/{repo.name}")
    for job, identity in product(ENVIRONMENTS, repeat=2):
        assert cloud.sign_in(repo.token(job), to=identity) == ("" if job == identity else "AADSTS700213"), (
            job,
            identity,
        )
    stranger = replace(repo, owner="eve", spelled=None, owner_id=72, id=4218)
    for environment in ENVIRONMENTS:
        assert cloud.sign_in(stranger.token(environment), to=environment) == "AADSTS700213"


def test_all_jobs_that_ask_azure_for_a_token_get_in(cloud: Cloud) -> None:
    """As the workflows have them: which environment, and which of the variables that bootstrap prints."""
    cloud.trust("ann/jobs")
    seen = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            if "id-token" not in job["permissions"]:
                continue
            environment = job["environment"]
            if environment == "pypi":  # its token is for PyPI, see release.yml
                continue
            seen.add(environment)
            (variable,) = set(re.findall(r"vars\.AZURE_(\w+)_CLIENT_ID", job["env"]["ARM_CLIENT_ID"]))
            assert {"PREVIEW": "preview", "DEPLOY": "prod"}[variable] == environment
            assert cloud.sign_in(BORN_SINCE.token(environment), to=environment) == ""
            assert cloud.sign_in(BORN_BEFORE.token(environment), to=environment) == ""
    assert seen == set(ENVIRONMENTS)


@pytest.mark.parametrize("repo", [BORN_SINCE, BORN_BEFORE], ids=["new", "old"])
def test_without_gh_the_ids_may_be_given_as_a_subject_has_them(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, repo: Repo
) -> None:
    monkeypatch.setenv("FAKE_GH_SAYS", "To get started with GitHub CLI, please run: gh auth login")
    cloud.trust("ann@71/jobs@4217")
    for environment in ENVIRONMENTS:
        assert cloud.sign_in(repo.token(environment), to=environment) == ""


def test_a_letter_of_another_case_is_refused_by_the_directory_and_put_right_by_github(cloud: Cloud) -> None:
    repo = Repo(owner="Ann")
    cloud.github_has(repo)
    cloud.trust("ann@71/jobs@4217")
    assert cloud.sign_in(repo.token("prod"), to="prod") == "AADSTS7002138"
    cloud.trust("ann/jobs")
    assert cloud.sign_in(repo.token("prod"), to="prod") == ""


def test_bootstrap_trusts_both_kinds_once(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.bootstrap("ann/jobs") == 0
    first = cloud.state["federations"]
    assert {one["subject"] for known in first.values() for one in known} == {
        f"repo:{who}:environment:{environment}"
        for who, environment in product(("ann/jobs", "ann@71/jobs@4217"), ENVIRONMENTS)
    }
    capsys.readouterr()
    assert cloud.bootstrap("ann@71/jobs@4217") == 0
    printed = capsys.readouterr().out
    assert "0 changes" in printed
    assert "NOTE" not in printed
    assert cloud.state["federations"] == first


@pytest.mark.parametrize(
    ("prod", "gaps"),
    [
        (PROTECTED, 0),
        ({**PROTECTED, "deployment_branch_policy": None}, 1),
        ({**PROTECTED, "protection_rules": [{"id": 4, "type": "branch_policy"}]}, 1),
        ({**PROTECTED, "protection_rules": [{**REVIEWERS, "reviewers": []}]}, 1),
        ({"id": 5, "name": "prod", "protection_rules": [], "deployment_branch_policy": None}, 2),
        (None, 1),
    ],
    ids=["protected", "any branch", "a branch rule only", "an empty list", "nothing", "no environment"],
)
def test_it_tells_if_code_that_nobody_has_reviewed_could_deploy(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], prod: dict[str, Any] | None, gaps: int
) -> None:
    cloud.github_has(Repo(prod=prod))
    assert len(find_gaps(Repository(owner="ann", name="jobs"), "prod")) == gaps
    _check_environment(Repository(owner="ann", name="jobs"), "prod")
    assert ("NOTE: The environment prod of ann/jobs" in capsys.readouterr().out) == (gaps > 0)


@pytest.mark.parametrize("missing", [True, False], ids=["no gh", "not signed in"])
def test_without_gh_it_tells_that_the_protection_is_unknown(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, missing: bool
) -> None:
    if missing:
        (cloud.file.parent / "bin" / "gh").unlink()
        monkeypatch.setenv("PATH", str(cloud.file.parent / "bin"))
    monkeypatch.setenv("FAKE_GH_SAYS", "To get started with GitHub CLI, please run: gh auth login")
    assert cloud.bootstrap("ann@71/jobs@4217") == 0
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("NOTE")]
    assert "ann/jobs" in note
    assert "unknown" in note


@pytest.mark.parametrize(
    "later",
    [
        Repo(name="renamed", formerly="ann/jobs"),
        Repo(owner="bob", owner_id=72, formerly="ann/jobs"),
        Repo(owner="bob", owner_id=72, id=4218),
    ],
    ids=["renamed", "transferred", "forked"],
)
def test_after_a_rename_the_new_names_count_and_the_former_ones_no_more(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], later: Repo
) -> None:
    """Former names are anybody's: whoever takes one must not get in by it."""
    cloud.github_has(BORN_BEFORE)
    cloud.trust("ann/jobs")
    cloud.github_has(later)
    capsys.readouterr()
    cloud.trust(later.formerly or f"{later.owner}/{later.name}")
    told = capsys.readouterr().out
    for environment in ENVIRONMENTS:
        assert cloud.sign_in(later.token(environment), to=environment) == ""
        assert cloud.sign_in(BORN_BEFORE.token(environment), to=environment) == "AADSTS700213"
        assert f"instead of repo:ann/jobs:environment:{environment}" in told


def test_what_others_have_added_is_used_and_told_and_stays(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """Created manually, as the error of a failed sign-in suggests; from an earlier version; of something else."""
    cloud.trust("ann@71/jobs@4217")
    state = cloud.state
    by_hand = state["federations"][cloud.clients["prod"]]
    by_hand[1]["name"] = "by-hand"
    other = {"issuer": ISSUER, "audiences": ["api://AzureADTokenExchange"]}
    by_hand += [
        {**other, "name": "branch", "subject": "repo:ann/jobs:ref:refs/heads/main"},
        {**other, "name": "flexible", "subject": None, "claimsMatchingExpression": {"value": "claims['sub'] eq 'x'"}},
        {**other, "name": "elsewhere", "issuer": "https://gitlab.com", "subject": by_hand[1]["subject"]},
    ]
    cloud.file.write_text(json.dumps(state))
    capsys.readouterr()
    cloud.trust("ann/jobs")
    told = capsys.readouterr().out
    assert set(re.findall(r"--federated-credential-id (\S+)", told)) == {"branch", "flexible", "elsewhere"}
    assert cloud.state["federations"] == state["federations"]


def test_a_full_application_is_told_before_it_is_half_trusted(cloud: Cloud) -> None:
    full = [{"name": f"other-{n}", "issuer": ISSUER, "subject": f"repo:x/{n}", "audiences": []} for n in range(19)]
    cloud.file.write_text(json.dumps({**cloud.state, "federations": {cloud.clients["prod"]: full}}))
    with pytest.raises(AzureError, match="more than 20 federated credentials"):
        cloud.trust("ann/jobs")
    assert cloud.state["federations"][cloud.clients["prod"]] == full


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (("repo", "context", "job_workflow_ref"), "job_workflow_ref"),
        (("repository_visibility", "environment"), "repository_visibility"),
        (("repo",), "environment"),
        (("repository_owner", "ref"), "ref"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_a_subject_that_cannot_be_known_is_refused(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], keys: tuple[str, ...], named: str
) -> None:
    repo = Repo(keys=keys)
    cloud.github_has(repo)
    assert cloud.bootstrap("ann/jobs") == 1
    told = capsys.readouterr().err
    assert named in told
    assert "--subject" in told
    assert cloud.state["federations"] == {}


def test_a_customised_subject_may_be_given(cloud: Cloud) -> None:
    repo = Repo(keys=("repo", "context", "job_workflow_ref"))
    cloud.github_has(repo)
    workflow = "ann/jobs/.github/workflows/deploy.yml@refs/heads/main"
    given = f"{repo.prefix}:environment:{{environment}}:job_workflow_ref:{workflow}"
    assert cloud.bootstrap("ann/jobs", "--subject", given) == 0
    for environment in ENVIRONMENTS:
        assert cloud.sign_in(repo.token(environment), to=environment) == ""


def test_an_enterprise_may_have_an_issuer_of_its_own(cloud: Cloud) -> None:
    repo = Repo(issuer=f"{ISSUER}/octo-corp")
    cloud.github_has(repo)
    cloud.trust("ann/jobs")
    assert cloud.sign_in(repo.token("prod"), to="prod") == "AADSTS700211"
    assert cloud.bootstrap("ann/jobs", "--issuer", f"{ISSUER}/octo-corp") == 0
    assert cloud.sign_in(repo.token("prod"), to="prod") == ""
    assert cloud.sign_in(BORN_SINCE.token("prod"), to="prod") == "AADSTS700211", "not for everybody at GitHub"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("To get started with GitHub CLI, please run:  gh auth login", "gh auth login"),
        ("error connecting to api.github.com", "error connecting"),
        ("gh: Must have admin rights to Repository. (HTTP 403)", "HTTP 403"),
        ("gh: Not Found (HTTP 404)", "no repository ann/jobs"),
    ],
)
def test_what_github_does_not_tell_is_said_before_anything_is_made(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, told: str
) -> None:
    monkeypatch.setenv("FAKE_GH_SAYS", said)
    assert cloud.bootstrap("ann/jobs") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert "OWNER@OWNER_ID/NAME@ID" in line
    assert made(cloud) == []


def test_without_gh_it_says_what_to_do(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (cloud.file.parent / "bin" / "gh").unlink()
    monkeypatch.setenv("PATH", f"{cloud.file.parent / 'bin'}{os.pathsep}/nonexistent")
    (cloud.file.parent / "bin" / "sh").symlink_to("/bin/sh")
    assert cloud.bootstrap("ann/jobs") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "gh auth login" in line
    assert made(cloud) == []


def test_a_dry_run_shows_both_kinds_and_trusts_nobody(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.bootstrap("ann/jobs", "--dry-run") == 0
    told = capsys.readouterr().out
    for environment, who in product(ENVIRONMENTS, ("ann/jobs", "ann@71/jobs@4217")):
        assert f"trust repo:{who}:environment:{environment}\n" in told
    assert cloud.state["federations"] == {}


def made(cloud: Cloud) -> list[list[str]]:
    """Return the commands but those that ask who is there."""
    return [
        command for command in cloud.state["log"] if command[:2] not in (["account", "show"], ["ad", "signed-in-user"])
    ]
