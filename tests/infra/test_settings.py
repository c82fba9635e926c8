"""The configuration: every problem is one line with key, reason and remedy, before anything is stood up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
import yaml  # type: ignore[import-untyped]

from infra.settings import StackSettings
from infra.settings_reader import ConfigError
from tests.infra.program import ADMIN, DEV, PROD, ROOT, Case, run_program

PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())


def settings_of(config: Mapping[str, str], stack: str = "dev") -> StackSettings:
    pulumi.runtime.set_all_config({key if ":" in key else f"queued-jobs:{key}": value for key, value in config.items()})
    return StackSettings.from_config(pulumi.Config("queued-jobs"), pulumi.Config("azure-native"), stack=stack)


@pytest.mark.parametrize(
    ("base", "change", "key", "says"),
    [
        (PROD, {"authMode": "invite"}, "authMode", "not for production"),
        (DEV, {"authMode": "anonymous"}, "authMode", "'anonymous' is not known"),
        (DEV, {"profile": "production"}, "profile", "use dev or prod"),
        (DEV, {"azure-native:location": ""}, "azure-native:location", "is no region"),
        (DEV, {"azure-native:location": "West Europe"}, "azure-native:location", "is no region"),
        (PROD, {"oidcIssuer": "http://login.example.com/"}, "oidcIssuer", "no https address"),
        (PROD, {"oidcIssuer": "https://["}, "oidcIssuer", "no https address"),
        (PROD, {"oidcIssuer": "https://ann:SECRET@login.example.com/"}, "oidcIssuer", "'https://ann:***@login"),
        (PROD, {"oidcIssuer": "https://login.example.com; script-src *"}, "oidcIssuer", "no https address"),
        (PROD, {"oidcIssuer": "https://login.example.com/?a=b"}, "oidcIssuer", "no https address"),
        (PROD, {"oidcIssuer": ""}, "oidcIssuer", "is missing"),
        (PROD, {"oidcIssuer": "https://login.microsoftonline.com/common/v2.0"}, "oidcIssuer", "names no tenant"),
        (PROD, {"oidcAudience": ""}, "oidcAudience", "is missing"),
        (PROD, {"oidcClientId": ""}, "oidcClientId", "is missing"),
        (PROD, {"oidcRolesClaim": "a b"}, "oidcRolesClaim", "is not one"),
        (DEV, {"allowedOrigins": '["*"]'}, "allowedOrigins", "pages of strangers"),
        (DEV, {"allowedOrigins": '["https://*.example.com"]'}, "allowedOrigins", "pages of strangers"),
        (DEV, {"allowedOrigins": '["http://example.com"]'}, "allowedOrigins", "pages of strangers"),
        (DEV, {"allowedOrigins": '["https://example.com/"]'}, "allowedOrigins", "pages of strangers"),
        (DEV, {"allowedOrigins": '["https://..."]'}, "allowedOrigins", "'https://...' has no host name"),
        (DEV, {"allowedOrigins": '["https://a..b"]'}, "allowedOrigins", "'https://a..b' has no host name"),
        (DEV, {"allowedOrigins": '["https://-a.example"]'}, "allowedOrigins", "has no host name"),
        (DEV, {"allowedOrigins": '["https://"]'}, "allowedOrigins", "'https://' has no host name"),
        (DEV, {"allowedOrigins": '["https://a.example:99999"]'}, "allowedOrigins", "has no port from 1 to 65535"),
        (DEV, {"allowedOrigins": '["https://a.example:0"]'}, "allowedOrigins", "has no port from 1 to 65535"),
        (DEV, {"allowedOrigins": '["https://a.example:"]'}, "allowedOrigins", "has no port from 1 to 65535"),
        (DEV, {"allowedOrigins": '["https://a.example:443"]'}, "allowedOrigins", "names port 443"),
        (DEV, {"allowedOrigins": '["https://A.example"]'}, "allowedOrigins", "has capitals"),
        (
            DEV,
            {"allowedOrigins": '["https://a.example", 7, "http://b"]'},
            "allowedOrigins",
            "'7' is no text, 'http://b'",
        ),
        (DEV, {"allowedOrigins": '["https://ann:SECRET@a.example"]'}, "allowedOrigins", "'https://ann:***@a.example'"),
        (DEV, {"allowedOrigins": '"https://a.example"'}, "allowedOrigins", "is no list of exact https origins"),
        (DEV, {"databaseAdminName": ""}, "databaseAdminName", "is missing"),
        (DEV, {"databaseAdminObjectId": "ann"}, "databaseAdminObjectId", "'ann' is not one"),
        (DEV, {"databaseAdminType": "Person"}, "databaseAdminType", "use User or Group"),
        (DEV, {"deployerIp": "home"}, "deployerIp", "no IPv4 address"),
        (DEV, {"deployerIp": "192.168.1.5"}, "deployerIp", "no IPv4 address of the internet"),
        (DEV, {"deployerIp": "0.0.0.0"}, "deployerIp", "no IPv4 address of the internet"),  # noqa: S104 (all of Azure)
        (DEV, {"deployerIp": "203.0.113.9", "privateNetwork": "true"}, "deployerIp", "takes no addresses"),
        (DEV, {"privateNetwork": "perhaps"}, "privateNetwork", "set true or false"),
        (DEV, {"alertEmails": "ops@example.com"}, "alertEmails", "set a list"),
        (DEV, {"alertEmails": '["ops"]'}, "alertEmails", "no list of mail addresses: 'ops' has not exactly one @"),
        (DEV, {"alertEmails": '["a@b.example", "@c.example"]'}, "alertEmails", "'@c.example' has nothing before the @"),
        (DEV, {"alertEmails": '["a@b", "a b@c.example"]'}, "alertEmails", "'a@b' has no domain after the @, 'a b@c."),
        (DEV, {"alertEmails": '["a@b..example"]'}, "alertEmails", "'a@b..example' has no domain after the @"),
        (PROD, {"alertEmails": "[]"}, "alertEmails", "nobody would hear"),
        (PROD, {"monthlyBudget": "0"}, "monthlyBudget", "nobody would hear"),
        (DEV, {"monthlyBudget": "50", "budgetStart": "2026-11-01"}, "alertEmails", "nobody would hear of the budget"),
        (DEV, {"highAvailability": "perhaps"}, "highAvailability", "set true or false"),
        (DEV, {"deleteProtection": "perhaps"}, "deleteProtection", "set true or false"),
        (DEV, {"alertEmail": "ops@example.com"}, "alertEmail", "take alertEmails, if you meant that"),
        (DEV, {"queuedjobs:authMode": "oidc"}, "queuedjobs:authMode", "write it as queued-jobs:authMode."),
        (DEV, {"template:authMode": "oidc"}, "template:authMode", "write it as queued-jobs:authMode."),
        (DEV, {"maxActiveJobs": "0"}, "maxActiveJobs", "is not known, so it would change nothing; remove it"),
        (DEV, {"monthlyBudget": "-5"}, "monthlyBudget", "is negative"),
        (DEV, {"monthlyBudget": "much"}, "monthlyBudget", "whole number"),
        (PROD, {"budgetStart": "2026-11-14"}, "budgetStart", "YYYY-MM-01"),
        (DEV, {"rehearsal": '{"scmUrl":"http://127.0.0.1"}'}, "rehearsal", "is not an object of"),
        (
            DEV,
            {
                "rehearsal": '{"scmUrl":"https://example.com","postgresHost":"127.0.0.1","postgresPort":1,'
                '"postgresSslmode":"disable"}'
            },
            "rehearsal",
            "another machine",
        ),
        (
            DEV,
            {
                "rehearsal": '{"scmUrl":"http://[","postgresHost":"127.0.0.1","postgresPort":1,"postgresSslmode":"disable"}'
            },
            "rehearsal",
            "another machine",
        ),
        (
            DEV,
            {
                "rehearsal": '{"scmUrl":"http://127.0.0.1","postgresHost":"127.0.0.1","postgresPort":"x",'
                '"postgresSslmode":"disable"}'
            },
            "rehearsal",
            "is no port",
        ),
        (
            PROD,
            {
                "rehearsal": '{"scmUrl":"http://127.0.0.1","postgresHost":"127.0.0.1","postgresPort":1,'
                '"postgresSslmode":"disable"}'
            },
            "rehearsal",
            "profile prod",
        ),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(
    base: Mapping[str, str], change: dict[str, str], key: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of({**base, **change})
    _, *lines = str(caught.value).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{key}: ")
    assert says in lines[0]
    assert lines[0].endswith(".")


@pytest.mark.parametrize("stack", ["Dev", "a_b", "a--b", "-a", "a.b", "ü", "x" * 41, "acme/dev", ""])
def test_a_stack_whose_resources_another_one_could_have_is_refused(stack: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(DEV, stack=stack)
    (_, line) = str(caught.value).splitlines()
    assert line == (
        f"stack: {stack!r} cannot be a part of the resources' names; "
        "name it with at most 40 of a-z, 0-9 and single dashes: pulumi stack rename."
    )


def test_all_problems_are_told_at_once_and_nothing_is_asked_for() -> None:
    (ran,) = run_program(Case(stack="prod", config={"profile": "prod"}, preview=True))
    assert ran.error is not None
    keys = {line.split(":")[0] for line in ran.error.splitlines()[1:]}
    assert keys >= {"authMode", "databaseAdminName", "databaseAdminObjectId", "alertEmails", "monthlyBudget"}
    assert not ran.asked


def test_a_stack_that_is_called_production_takes_no_invite_links() -> None:
    pulumi.runtime.set_all_config({f"queued-jobs:{key}": value for key, value in DEV.items()} | dict(DEV))
    with pytest.raises(ConfigError, match="authMode: invite links"):
        StackSettings.from_config(pulumi.Config("queued-jobs"), pulumi.Config("azure-native"), stack="production")


def test_protection_and_standby_belong_to_production_and_can_be_given_up() -> None:
    assert not settings_of(DEV).protected
    assert not settings_of({**DEV, "highAvailability": "true"}).zone_redundant_database
    prod = settings_of({**PROD, "deleteProtection": "false", "highAvailability": "false"})
    assert not prod.protected
    assert not prod.zone_redundant_database
    assert settings_of(PROD).database_admin.object_id == ADMIN


def test_every_key_is_declared_with_type_default_and_description() -> None:
    for name, declared in PROJECT["config"].items():
        assert {"type", "default", "description"} <= set(declared), name
    code = (ROOT / "infra" / "settings.py").read_text()
    described = (ROOT / "docs" / "reference" / "infrastructure.md").read_text()
    for name in PROJECT["config"]:
        assert f'"{name}"' in code, f"{name} is declared and read by nothing"
        assert f"`{name}`" in described, f"{name} is not in the documentation"
    assert "virtualenv" not in (PROJECT["runtime"] if isinstance(PROJECT["runtime"], dict) else {})


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_sample_stacks_are_valid(stack: str) -> None:
    declared = {f"queued-jobs:{name}": kind["type"] for name, kind in PROJECT["config"].items()}
    sample = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    kinds = {"string": str, "boolean": bool, "integer": int, "array": list}
    for key, value in sample.items():
        if key != "azure-native:location":
            assert type(value) is kinds[declared[key]], key
    defaults = {name: kind["default"] for name, kind in PROJECT["config"].items()}
    merged = {**defaults, **{key.removeprefix("queued-jobs:"): value for key, value in sample.items()}}
    # as Pulumi hands them over: texts as they are, all else as JSON
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in merged.items()}
    assert settings_of(texts).profile.name == stack
