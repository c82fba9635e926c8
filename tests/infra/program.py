"""Runs the Pulumi program without an engine, against answers as Azure gives them, and keeps what it asked for.

The runs happen in a process of their own, started inside infra/ as Pulumi does it: what the program puts on the path,
and what Pulumi leaves behind, stays there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.project import PROJECT

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "33333333-3333-4333-8333-333333333333"

DEV: Mapping[str, str] = {
    "azure-native:location": "westeurope",
    "databaseAdminName": "ann@contoso.com",
    "databaseAdminObjectId": ADMIN,
}
PROD: Mapping[str, str] = {
    **DEV,
    "profile": "prod",
    "authMode": "oidc",
    "oidcIssuer": "https://login.contoso.com/",
    "oidcAudience": "queued-jobs",
    "oidcClientId": "page",
    "oidcRolesClaim": "roles",
    "alertEmails": '["ops@contoso.com"]',
    "monthlyBudget": "500",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A stack with its configuration; keys without a prefix are the project's own."""

    stack: str
    config: Mapping[str, str]
    preview: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A resource that the program asked for.

    Attributes
    ----------
    after
        Names of the resources that must be there before, directly or through others.
    protected
        Pulumi refuses to delete or replace it.
    ignored
        Properties whose changes Pulumi ignores.
    flat
        Pulumi recognizes it in a state in which it has no parent.
    """

    type: str
    name: str
    inputs: dict[str, Any]
    after: frozenset[str]
    protected: bool
    ignored: frozenset[str]
    flat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A finished run: what was asked for by name, the outputs with secret ones apart, and how it failed, if it did.

    `parts` are the types of the components, by name.
    """

    asked: dict[str, Asked]
    parts: dict[str, str]
    outputs: dict[str, Any]
    secret_outputs: dict[str, Any]
    error: str | None

    def of_type(self, kind: str) -> list[Asked]:
        """Return the resources of an azure-native type such as `storage:Queue`."""
        return [one for one in self.asked.values() if one.type == f"azure-native:{kind}"]

    def only(self, kind: str) -> Asked:
        (one,) = self.of_type(kind)
        return one

    @property
    def app_settings(self) -> dict[str, Any]:
        config = self.only("web:WebApp").inputs["siteConfig"]
        return {setting["name"]: setting.get("value") for setting in config["appSettings"]}


def run_program(*cases: Case) -> list[Ran]:
    """Run `infra/__main__.py` for each case."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    asked = [{**asdict(case), "config": dict(case.config), "project": PROJECT} for case in cases]
    child = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "infra" / "mocked_engine.py")],
        cwd=ROOT / "infra",
        env=environment,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return [_ran(answer) for answer in json.loads(child.stdout.splitlines()[-1])]


def _ran(answer: dict[str, Any]) -> Ran:
    asked = [Asked(**{**one, **{key: frozenset(one[key]) for key in ("after", "ignored")}}) for one in answer["asked"]]
    assert len({one.name for one in asked}) == len(asked), "two resources have the same name"
    return Ran(
        asked={one.name: one for one in asked},
        parts=answer["parts"],
        outputs=answer["outputs"],
        secret_outputs=answer["secret_outputs"],
        error=answer["error"],
    )
