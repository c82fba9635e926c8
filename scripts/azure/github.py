"""GitHub: the subjects of a repository in the tokens that its jobs sign in with, and who may start these jobs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: The issuer of all tokens on github.com, except for enterprises that have their own below it.
ISSUER: Final = "https://token.actions.githubusercontent.com"
#: Stands for the name of the environment in a subject.
ENVIRONMENT: Final = "{environment}"
_REPOSITORY: Final = re.compile(
    r"(?P<owner>[A-Za-z0-9_-]+)(?:@(?P<owner_id>[1-9]\d*))?/(?P<name>[A-Za-z0-9_.-]+)(?:@(?P<id>[1-9]\d*))?"
)
_REMEDY: Final = (
    "Install gh and run `gh auth login`, or give the ids yourself: --repository OWNER@OWNER_ID/NAME@ID, as in "
    "the error of a failed sign-in, or at https://api.github.com/repos/OWNER/NAME as owner.id and id."
)
#: The claims about the repository in a job's token, by their names in a customised subject.
_KNOWN_KEYS: Final = ("repo", "repository", "repository_id", "repository_owner", "repository_owner_id", "context")


class GitHubError(Exception):
    """The subjects of a repository cannot be determined; the message has the reason and the remedy."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason} {remedy}".rstrip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository by its names, which may be reassigned, and, if known, by its ids, which are permanent."""

    owner: str
    name: str
    owner_id: int | None = None
    id: int | None = None

    @classmethod
    def parse(cls, text: str) -> Repository | None:
        """Parse `OWNER/NAME` or `OWNER@OWNER_ID/NAME@ID`. None for anything else."""
        found = _REPOSITORY.fullmatch(text)
        if found is None or (found["owner_id"] is None) != (found["id"] is None):
            return None
        ids = (int(found["owner_id"]), int(found["id"])) if found["id"] else (None, None)
        return cls(owner=found["owner"], name=found["name"], owner_id=ids[0], id=ids[1])

    @property
    def by_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def by_id(self) -> str:
        return f"{self.owner}@{self.owner_id}/{self.name}@{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjects:
    """The subjects of a repository's tokens, by kind; `{environment}` stands for the environment."""

    patterns: Mapping[str, str]

    def of(self, environment: str) -> dict[str, str]:
        """Return the subjects of the jobs of one environment by the names of the credentials that trust them."""
        return {
            "-".join(filter(None, ("github", environment, kind))): pattern.replace(ENVIRONMENT, environment)
            for kind, pattern in self.patterns.items()
        }


def find_subjects(repository: Repository) -> Subjects:
    """Return the subjects that GitHub may use for the repository: by names alone, and by names with ids.

    It uses the ids for repositories that were created, renamed or transferred since 15 July 2026, or switched over.
    Looks up ids that are not given. Raises `GitHubError`.
    """
    if repository.id is not None:
        return _by_default(repository, None)
    known = _ask(f"repos/{repository.by_name}")
    if known is None:
        raise GitHubError(f"GitHub has no repository {repository.by_name}, or you have no access to it. {_REMEDY}")
    repository = Repository(
        owner=known["owner"]["login"], name=known["name"], owner_id=known["owner"]["id"], id=known["id"]
    )
    template = _ask(f"repos/{repository.by_name}/actions/oidc/customization/sub") or {"use_default": True}
    if template["use_default"]:
        return _by_default(repository, template.get("sub_claim_prefix"))
    # without its own keys it uses its organization's
    keys = template.get("include_claim_keys") or _keys_of_organization(repository)
    return _by_template(repository, keys)


def find_gaps(repository: Repository, environment: str) -> list[str]:
    """Return why code without a review could run in the environment, a line each. Raises `GitHubError`."""
    about = _ask(f"repos/{repository.by_name}/environments/{environment}")
    if about is None:
        return ["it does not exist, or you have no access to it: GitHub creates it unprotected with the first job"]
    rules = about.get("protection_rules") or []
    gaps = []
    if not any(rule.get("type") == "required_reviewers" and rule.get("reviewers") for rule in rules):
        gaps.append("it has no required reviewers")
    if about.get("deployment_branch_policy") is None:
        gaps.append("every branch may use it")
    return gaps


def _by_default(repository: Repository, prefix: str | None) -> Subjects:
    """Return both kinds, and the one that GitHub reports as in use, if it differs."""
    patterns = {"": f"repo:{repository.by_name}", "immutable": f"repo:{repository.by_id}"}
    if prefix and prefix not in patterns.values():
        patterns["current"] = prefix
    return Subjects(patterns={kind: f"{start}:environment:{ENVIRONMENT}" for kind, start in patterns.items()})


def _by_template(repository: Repository, keys: Sequence[str]) -> Subjects:
    """Return the subjects of these keys. Raises `GitHubError` for keys whose values depend on the run."""
    unknown = [key for key in keys if key not in (*_KNOWN_KEYS, "environment")]
    if unknown or not {"context", "environment"}.intersection(keys):
        why = (
            f"has {', '.join(unknown)} in it"
            if unknown
            else "does not contain the environment, which decides what may deploy"
        )
        raise GitHubError(
            f"The subject of {repository.by_name} is customised ({', '.join(keys)}) and {why}. Take the subject from "
            "the log of a job of the environment prod, where the sign-in prints it, and pass it as --subject with "
            f"{ENVIRONMENT} in place of prod; or reset GitHub to its default form: gh api --method PUT "
            f"repos/{repository.by_name}/actions/oidc/customization/sub -F use_default=true"
        )
    patterns = {
        kind: ":".join(_claim(repository, key, name) for key in keys)
        for kind, name in (("", repository.by_name), ("immutable", repository.by_id))
    }
    if patterns[""] == patterns["immutable"]:
        del patterns["immutable"]
    return Subjects(patterns=patterns)


def _claim(repository: Repository, key: str, name: str) -> str:
    if key in ("context", "environment"):
        return f"environment:{ENVIRONMENT}"
    values = {
        "repo": name,
        "repository": repository.by_name,
        "repository_id": repository.id,
        "repository_owner": repository.owner,
        "repository_owner_id": repository.owner_id,
    }
    return f"{key}:{values[key]}"


def _keys_of_organization(repository: Repository) -> Sequence[str]:
    template = _ask(f"orgs/{repository.owner}/actions/oidc/customization/sub") or {}
    keys: Sequence[str] = template.get("include_claim_keys") or ("repo", "context")
    return keys


def _ask(path: str) -> Any:
    """Return the response of the API, or None if it is 404. Raises `GitHubError`."""
    if shutil.which("gh") is None:
        raise GitHubError("gh, which asks GitHub about the repository, is not on PATH.", _REMEDY)
    ran = subprocess.run(
        ["gh", "api", path], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    said = " ".join(ran.stderr.split())
    if ran.returncode != 0 and "HTTP 404" in said:
        return None
    if ran.returncode != 0:
        raise GitHubError(f"gh api {path} failed: {said or f'exit code {ran.returncode}'}.", _REMEDY)
    try:
        return json.loads(ran.stdout)
    except ValueError as error:
        raise GitHubError(f"gh api {path} returned invalid JSON: {ran.stdout[:200]!r}.", _REMEDY) from error
