"""GitHub's repositories in a JSON file, spoken to by `gh api`; and the tokens that their jobs would get.

Run as `gh`: answers from the file named by FAKE_GH as the REST API does, also for former names, in any case.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ISSUER = "https://token.actions.githubusercontent.com"
AUDIENCE = "api://AzureADTokenExchange"

REVIEWERS = {"id": 3, "type": "required_reviewers", "reviewers": [{"type": "User", "reviewer": {"login": "ann"}}]}
ONE_BRANCH = {"protected_branches": False, "custom_branch_policies": True}
PROTECTED = {
    "id": 5,
    "name": "prod",
    "protection_rules": [REVIEWERS, {"id": 4, "type": "branch_policy"}],
    "deployment_branch_policy": ONE_BRANCH,
}


@dataclass(frozen=True, kw_only=True)
class Repo:
    """A repository as GitHub has it. `keys` = its customised subject; of an organization's template: `use_keys_of`."""

    owner: str = "ann"
    name: str = "jobs"
    owner_id: int = 71
    id: int = 4217
    is_immutable: bool = True
    keys: tuple[str, ...] | None = None
    organization_keys: tuple[str, ...] | None = None
    formerly: str | None = None
    issuer: str = ISSUER
    #: What the API says of the prefix; some answers have none.
    says_prefix: bool = True
    #: The environment `prod`, as the API has it; none = it does not exist.
    prod: Mapping[str, Any] | None = field(default_factory=lambda: PROTECTED)
    #: The organization's name is spelled differently in tokens and in its address.
    spelled: str | None = None

    @property
    def prefix(self) -> str:
        owner = self.spelled or self.owner
        return (
            f"repo:{owner}@{self.owner_id}/{self.name}@{self.id}" if self.is_immutable else f"repo:{owner}/{self.name}"
        )

    def write(self, file: Path) -> None:
        """Make this the only repository there is."""
        template: dict[str, Any] = {"use_default": self.keys is None and self.organization_keys is None}
        if self.keys:
            template["include_claim_keys"] = self.keys
        # as the real one does, which says false of repositories that have it by their age
        template["use_immutable_subject"] = False
        if self.says_prefix:
            template["sub_claim_prefix"] = self.prefix
        about = {
            "id": self.id,
            "name": self.name,
            "full_name": f"{self.owner}/{self.name}",
            "owner": {"login": self.owner, "id": self.owner_id},
        }
        paths: dict[str, Any] = {}
        for full_name in filter(None, (f"{self.owner}/{self.name}", self.formerly)):
            paths[f"repos/{full_name}".lower()] = about
            paths[f"repos/{full_name}/actions/oidc/customization/sub".lower()] = template
            if self.prod is not None:
                paths[f"repos/{full_name}/environments/prod".lower()] = self.prod
        if self.organization_keys:
            organization = {"include_claim_keys": self.organization_keys}
            paths[f"orgs/{self.owner}/actions/oidc/customization/sub".lower()] = organization
        file.write_text(json.dumps(paths))

    def token(self, environment: str) -> str:
        """Return what a job of the environment gets to sign in with, unsigned."""
        owner = self.spelled or self.owner
        claims = {
            "repo": self.prefix.removeprefix("repo:"),
            "context": f"environment:{environment}",
            "environment": environment,
            "repository": f"{owner}/{self.name}",
            "repository_id": str(self.id),
            "repository_owner": owner,
            "repository_owner_id": str(self.owner_id),
            "ref": "refs/heads/main",
            "job_workflow_ref": f"{owner}/{self.name}/.github/workflows/deploy.yml@refs/heads/main",
        }
        keys = self.keys or self.organization_keys or ("repo", "context")
        subject = ":".join(claims[key] if key == "context" else f"{key}:{claims[key]}" for key in keys)
        payload = {"iss": self.issuer, "aud": AUDIENCE, "sub": subject}
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, payload)
        )


def main(command: list[str]) -> None:
    """Carry out one command and print its answer."""
    if command[0] != "api" or len(command) != 2:
        sys.exit(f"fake gh: does not know {' '.join(command)}")
    if os.environ.get("FAKE_GH_SAYS"):
        sys.exit(os.environ["FAKE_GH_SAYS"])
    paths = json.loads(Path(os.environ["FAKE_GH"]).read_text())
    if command[1].lower() not in paths:
        print('{"message": "Not Found", "status": "404"}')  # noqa: T201 (what gh does)
        sys.exit("gh: Not Found (HTTP 404)")
    print(json.dumps(paths[command[1].lower()]))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
