"""Each setting of a running stack is changed by itself: what happens to the resources, and that no data is lost.

The program runs without an engine; the rehearsal's provider says what a change does, as it does to the real engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from pulumi.runtime.proto import provider_pb2

from infra.placement import _PlacementProvider
from infra.project import PROJECT
from infra.settings import config_keys
from tests.infra.program import DEV, PROD, ROOT, Asked, Case, Ran, run_program
from tools.rehearsal.azure.cloud import Cloud
from tools.rehearsal.azure.provider import Provider
from tools.rehearsal.azure.wire import encode

PAGE: Final = ROOT / "docs" / "reference" / "infrastructure.md"
OTHER: Final = "44444444-4444-4444-8444-444444444444"
BASES: Final[Mapping[str, Mapping[str, str]]] = {
    "dev": {**DEV, "deployerIp": "203.0.113.9"},
    "prod": {**PROD, "deployerIp": "203.0.113.9"},
}
_OIDC: Final = {name: value for name, value in PROD.items() if name.startswith(("oidc", "authMode"))}
#: What is set, by setting; an empty value removes it. Settings that belong together change together.
CHANGES: Final[Mapping[str, Mapping[str, str]]] = {
    "authMode": _OIDC,
    "oidcIssuer oidcAudience oidcClientId oidcRolesClaim oidcScope oidcAudienceParameter": {
        "authMode": "oidc",
        "oidcIssuer": "https://id.contoso.com/",
        "oidcAudience": "other",
        "oidcClientId": "other",
        "oidcRolesClaim": "groups",
        "oidcScope": "openid",
        "oidcAudienceParameter": "resource",
    },
    "allowedOrigins": {"allowedOrigins": '["https://intranet.contoso.com"]'},
    "databaseAdminName databaseAdminObjectId databaseAdminType": {
        "databaseAdminName": "jobs-admins",
        "databaseAdminObjectId": OTHER,
        "databaseAdminType": "Group",
    },
    "deployerIp": {"deployerIp": ""},
    "privateNetwork": {"privateNetwork": "true", "deployerIp": ""},
    "highAvailability": {"highAvailability": "false"},
    "deleteProtection": {"deleteProtection": "false"},
    "alertEmails": {"alertEmails": '["noc@contoso.com"]'},
    "monthlyBudget": {"monthlyBudget": "900", "alertEmails": '["ops@contoso.com"]'},
    "workbook": {"workbook": "true"},
    "tags": {"tags": '{"cost-center": "4711"}'},
    "profile": {**PROD, "deployerIp": "203.0.113.9"},
}
#: What the first resource compares, which all others depend on.
REFUSED: Final = {
    "azure-native:location": "location",
    "azure-native:subscriptionId": "subscription_id",
    "generation": "generation",
}
#: Types of resources whose deletion loses rows, files, logs, or the address of the app.
DATA: Final = (
    "resources:ResourceGroup",
    "managedidentity:UserAssignedIdentity",
    "storage:StorageAccount",
    "storage:BlobContainer",
    "storage:Queue",
    "dbforpostgresql:Server",
    "dbforpostgresql:Database",
    "operationalinsights:Workspace",
    "applicationinsights:Component",
    "signalrservice:SignalR",
    "web:WebApp",
)

#: By setting and profile: the names of the resources by what happens to them.
Effects = dict[str, dict[str, dict[str, list[str]]]]


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Effects:
    """Change each setting of each profile by itself."""
    cases = [
        Case(stack=profile, config=config)
        for profile, base in BASES.items()
        for config in (base, *({**base, **change} for change in CHANGES.values()))
    ]
    ran = iter(run_program(*cases))
    provider = Provider(Cloud(Path(tmp_path_factory.mktemp("cloud"))))
    found: Effects = {setting: {} for setting in CHANGES}
    for profile in BASES:
        before = next(ran)
        for setting in CHANGES:
            found[setting][profile] = effect(provider, before, next(ran))
        placement = before.asked["placement"].inputs
        assert placement.keys() - {"__provider"} == set(REFUSED.values())
        for setting, name in REFUSED.items():
            failures = _PlacementProvider().check(placement, {**placement, name: "another"}).failures
            found.setdefault(setting, {})[profile] = {"refused": []} if failures else {}
    return found


def effect(provider: Provider, before: Ran, after: Ran) -> dict[str, list[str]]:
    """Return the names of the resources by what the engine would do to them."""
    assert before.error is None
    assert after.error is None, after.error
    done: dict[str, list[str]] = {}
    for name in sorted(before.asked.keys() | after.asked.keys()):
        operation = _operation(provider, before.asked.get(name), after.asked.get(name))
        if operation is not None:
            done.setdefault(operation, []).append(name)
            kind = (before.asked.get(name) or after.asked[name]).type.removeprefix("azure-native:")
            if operation in ("replaces", "deletes") and kind in DATA:
                done.setdefault("loses", []).append(name)
    return done


def _operation(provider: Provider, old: Asked | None, new: Asked | None) -> str | None:
    if old is None or new is None:
        return "creates" if old is None else "deletes"
    if not new.type.startswith("azure-native:"):
        return None  # these compare their own inputs
    request = provider_pb2.DiffRequest(
        urn=f"urn:pulumi:dev::{PROJECT}::{new.type}::{new.name}",
        old_inputs=encode(old.inputs),
        news=encode(new.inputs),
        ignoreChanges=sorted(new.ignored),
    )
    diff = provider.Diff(request, None)
    if diff.replaces:
        return "replaces"
    return "updates" if diff.diffs else None


def cell(done: Mapping[str, list[str]]) -> str:
    if "refused" in done:
        return "refused"
    words = []
    for operation in ("updates", "creates", "replaces", "deletes"):
        names = done.get(operation, [])
        shown = ", ".join(f"`{name}`" for name in names) if len(names) <= 4 else f"{len(names)} resources"
        words += [f"{operation} {shown}"] if names else []
    return "; ".join(words) or "nothing"


def test_every_setting_is_changed() -> None:
    changed = [*REFUSED, *(name for names in CHANGES for name in names.split())]
    assert set(changed) == config_keys() - {"rehearsal"} | {"azure-native:location", "azure-native:subscriptionId"}


def test_no_change_of_a_setting_loses_data(effects: Effects) -> None:
    for setting, profiles in effects.items():
        for profile, done in profiles.items():
            assert done.get("loses", []) == [], (setting, profile)


def test_the_documentation_shows_what_each_change_does(effects: Effects) -> None:
    wanted = ["| setting | dev | prod |", "|---|---|---|"]
    for names, done in effects.items():
        shown = ", ".join(f"`{name}`" for name in names.split())
        wanted.append(f"| {shown} | {cell(done['dev'])} | {cell(done['prod'])} |")
    section = PAGE.read_text().partition("## Changes of a stack\n")[2].partition("\n## ")[0]
    assert "\n".join(re.findall(r"^\|.*\|$", section, re.MULTILINE)) == "\n".join(wanted)
