"""What the program stands up, per profile, and the rules that no change of it may break."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from inspect import signature
from typing import Any

import pytest

import jobs
from infra.profiles import PROFILES
from infra.project import PROJECT
from queued_jobs.registry import JobRegistry
from settings import Settings
from tests.infra.program import DEV, PROD, ROOT, Case, Ran, run_program
from tools.rehearsal.azure.arguments import resource_class

PRIVATE = {**PROD, "privateNetwork": "true", "workbook": "true"}
CASES = {
    "dev": Case(stack="dev", config=DEV),
    "dev-preview": Case(stack="dev", config=DEV, preview=True),
    "prod": Case(stack="prod", config=PROD),
    "prod-preview": Case(stack="prod", config=PROD, preview=True),
    "private": Case(stack="private", config=PRIVATE),
    "private-preview": Case(stack="private", config=PRIVATE, preview=True),
}
QUEUES = [name for queue in JobRegistry.from_package(jobs).queues for name in (queue, f"{queue}-poison")]


@pytest.fixture(scope="module")
def runs() -> dict[str, Ran]:
    """Each configuration, run once."""
    return dict(zip(CASES, run_program(*CASES.values()), strict=True))


@pytest.fixture(params=CASES)
def ran(request: pytest.FixtureRequest, runs: dict[str, Ran]) -> Ran:
    return runs[request.param]


def texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def test_a_preview_asks_for_the_same_resources_as_the_deployment(runs: dict[str, Ran]) -> None:
    for name in ("dev", "prod", "private"):
        assert set(runs[name].asked) == set(runs[f"{name}-preview"].asked)


def test_each_profile_has_its_parts(runs: dict[str, Ran]) -> None:
    kinds = {
        name: Counter(one.type.removeprefix("azure-native:") for one in run.asked.values())
        for name, run in runs.items()
    }
    common = {
        "resources:ResourceGroup": 1,
        "managedidentity:UserAssignedIdentity": 1,
        "storage:StorageAccount": 1,
        "storage:BlobContainer": 3,
        "storage:Queue": len(QUEUES),
        "signalrservice:SignalR": 1,
        "dbforpostgresql:Server": 1,
        "dbforpostgresql:Database": 1,
        "dbforpostgresql:AdministratorsMicrosoftEntra": 1,
        "web:AppServicePlan": 1,
        "web:WebApp": 1,
        "monitor:ScheduledQueryRule": 5,
        "monitor:MetricAlert": 4,
    }
    for name, found in kinds.items():
        assert {kind: found[kind] for kind in common} == common, name
    extras = {
        "dbforpostgresql:FirewallRule": (1, 1, 0),
        "network:PrivateEndpoint": (0, 0, 1),
        "authorization:ManagementLockByScope": (0, 3, 3),
        "consumption:Budget": (0, 1, 1),
        "applicationinsights:Workbook": (0, 0, 1),
        "pulumi-python:dynamic:Resource": (4, 3, 3),
    }
    for kind, numbers in extras.items():
        assert tuple(kinds[name][kind] for name in ("dev", "prod", "private")) == numbers, kind


def test_the_cost_table_adds_up_and_counts_the_alerts(runs: dict[str, Ran]) -> None:
    page = (ROOT / "docs" / "reference" / "infrastructure.md").read_text()
    section = page.partition("## Cost\n")[2].partition("\n## ")[0]
    rows = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"]
    *parts, total = rows[2:]
    for column in (1, 2):
        assert total[column] == f"about {sum(int(row[column].replace('-', '0')) for row in parts)}"
    standby = sum(int(row[2]) for row in parts if row[0].startswith("database")) // 2
    assert total[3].endswith(f"about {sum(int(row[2]) for row in parts) - standby}")
    (alerts,) = [row for row in parts if row[0] == "alerts"]
    logs, metrics = (len(runs["dev"].of_type(f"monitor:{kind}")) for kind in ("ScheduledQueryRule", "MetricAlert"))
    assert [logs, metrics] == [int(number) for number in re.findall(r"(\d+) rules", alerts[3])]
    assert int(alerts[1]) == int(alerts[2]) == round(logs * 1.5 + metrics * 0.1)


def test_every_registered_kind_has_its_queue_and_its_poison_queue(ran: Ran) -> None:
    assert sorted(queue.inputs["queueName"] for queue in ran.of_type("storage:Queue")) == sorted(QUEUES)


def test_no_part_takes_a_key_or_a_password(ran: Ran) -> None:
    account = ran.only("storage:StorageAccount").inputs
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["enableHttpsTrafficOnly"] is True
    assert all(one.inputs["publicAccess"] == "None" for one in ran.of_type("storage:BlobContainer"))
    server = ran.only("dbforpostgresql:Server").inputs
    assert server["authConfig"]["passwordAuth"] == "Disabled"
    assert server["authConfig"]["activeDirectoryAuth"] == "Enabled"
    assert not {"administratorLogin", "administratorLoginPassword"} & set(server)
    hub = ran.only("signalrservice:SignalR").inputs
    assert (hub["disableLocalAuth"], hub["disableAadAuth"]) == (True, False)
    assert ran.only("applicationinsights:Component").inputs["disableLocalAuth"] is True
    assert [ran.only(f"web:WebApp{kind}Allowed").inputs["allow"] for kind in ("Ftp", "Scm")] == [False, False]
    assert ran.only("web:WebApp").inputs["httpsOnly"] is True


def test_pages_of_other_origins_are_let_in_by_name() -> None:
    (ran,) = run_program(Case(stack="dev", config={**DEV, "allowedOrigins": '["https://intranet.example.com"]'}))
    origins = [f"https://{ran.only('web:WebApp').inputs['name']}.azurewebsites.net", "https://intranet.example.com"]
    assert ran.only("signalrservice:SignalR").inputs["cors"]["allowedOrigins"] == origins
    (rule,) = ran.only("storage:BlobServiceProperties").inputs["cors"]["corsRules"]
    assert rule["allowedOrigins"] == origins
    assert ran.app_settings["ALLOWED_ORIGINS"] == "https://intranet.example.com"


def test_only_the_own_page_may_call_across_origins(ran: Ran) -> None:
    app = ran.only("web:WebApp").inputs
    site = f"https://{app['name']}.azurewebsites.net"
    assert ran.only("signalrservice:SignalR").inputs["cors"] == {"allowedOrigins": [site]}
    (rule,) = ran.only("storage:BlobServiceProperties").inputs["cors"]["corsRules"]
    assert (rule["allowedOrigins"], rule["allowedMethods"]) == ([site], ["PUT"])
    assert "cors" not in app["siteConfig"]


def test_the_app_is_asked_for_in_the_way_that_its_plan_takes(ran: Ran) -> None:
    app = ran.only("web:WebApp").inputs
    assert app["kind"] == "functionapp,linux"
    assert set(app["siteConfig"]) == {"appSettings", "minTlsVersion", "scmMinTlsVersion", "http20Enabled"}
    assert not {name for name in ran.app_settings if re.search(r"[^A-Za-z0-9_]", name)}
    refused = {"FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE", "SCM_DO_BUILD_DURING_DEPLOYMENT"}
    assert not refused & set(ran.app_settings)


def test_roles_are_granted_to_a_service_principal_before_the_app_is_there(ran: Ran) -> None:
    grants = ran.of_type("authorization:RoleAssignment")
    assert len({grant.inputs["roleDefinitionId"] for grant in grants}) == len(grants) == 5
    assert all(grant.inputs["principalType"] == "ServicePrincipal" for grant in grants)
    before = ran.asked["app"].after
    assert {grant.name for grant in grants} <= before
    assert {"schema", "container-app-package", *(f"queue-{queue}" for queue in QUEUES)} <= before
    assert "app" in ran.asked["code"].after


def test_changes_to_the_server_come_one_after_the_other(ran: Ran) -> None:
    parts = [one for one in ran.asked.values() if one.inputs.get("serverName") and one.name != "postgres"]
    parts.append(ran.asked["schema"])
    for number, part in enumerate(parts):
        assert {"postgres", *(earlier.name for earlier in parts[:number])} <= part.after, part.name


def test_app_and_deployer_check_the_name_of_the_server_that_gets_their_tokens(ran: Ran) -> None:
    schema = ran.asked["schema"].inputs
    assert (schema["sslmode"], ran.app_settings["PGSSLMODE"]) == ("verify-full", "verify-full")


@pytest.mark.parametrize("name", ["dev", "prod", "private"])
def test_settings_and_outputs_hold_no_secret(name: str, runs: dict[str, Ran]) -> None:
    ran = runs[name]
    looks_secret = re.compile(r"(?i)(AccountKey|AccessKey|SharedAccessKey|password|pwd)\s*=|\bsig=|hidden-\w+-x")
    links = {"INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET"} if name == "dev" else set()
    assert {key for key, value in ran.app_settings.items() if looks_secret.search(str(value))} == links
    assert not [text for text in texts(ran.outputs) if looks_secret.search(text)]
    assert set(ran.secret_outputs) == ({"openUrl", "adminUrl"} if name == "dev" else set())
    # the one connection string: without its key, which opens nothing as local authentication is off
    assert [key for key in ran.app_settings if "CONNECTION_STRING" in key] == ["APPLICATIONINSIGHTS_CONNECTION_STRING"]


@pytest.mark.parametrize("name", ["dev", "prod", "private"])
def test_the_app_accepts_the_settings_that_it_is_given(name: str, runs: dict[str, Ran]) -> None:
    given = {key: value for key, value in runs[name].app_settings.items() if value is not None}
    settings = Settings.from_environment({**given, "WEBSITE_SITE_NAME": "func"})
    assert settings.environment == ("dev" if name == "dev" else "prod")
    assert given["PGUSER"] == runs[name].only("managedidentity:UserAssignedIdentity").inputs["resourceName"]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_sizes_and_safeguards_are_those_of_the_profile(name: str, runs: dict[str, Ran]) -> None:
    profile = PROFILES[name]
    server = runs[name].only("dbforpostgresql:Server").inputs
    assert server["sku"] == {"name": profile.database_size, "tier": profile.database_tier}
    assert server["storage"]["storageSizeGB"] == profile.database_gigabytes
    assert server["highAvailability"]["mode"] == ("ZoneRedundant" if profile.zone_redundant else "Disabled")
    assert server["backup"]["backupRetentionDays"] == profile.keep_backups.days
    scale = runs[name].only("web:WebApp").inputs["functionAppConfig"]["scaleAndConcurrency"]
    assert sum(one["instanceCount"] for one in scale["alwaysReady"]) == profile.always_ready
    assert scale["maximumInstanceCount"] == profile.max_instances


def test_everything_that_a_rule_can_delete_of_the_uploads_is_deleted(runs: dict[str, Ran]) -> None:
    rules = runs["prod"].only("storage:ManagementPolicy").inputs["policy"]["rules"]
    for rule in rules:
        assert rule["definition"]["filters"]["blobTypes"] == ["blockBlob", "appendBlob"]
        assert set(rule["definition"]["actions"]) == {"baseBlob", "snapshot"}
    assert [rule["definition"]["filters"]["prefixMatch"] for rule in rules] == [["uploads/"], ["results/"]]


def test_a_private_database_has_no_public_door(runs: dict[str, Ran]) -> None:
    private = runs["private"]
    assert private.only("dbforpostgresql:Server").inputs["network"] == {"publicNetworkAccess": "Disabled"}
    assert private.only("web:WebApp").inputs["virtualNetworkSubnetId"].endswith("/subnets/app")
    assert "database-endpoint-name" in private.asked["schema"].after
    assert private.only("network:PrivateEndpoint").inputs["privateLinkServiceConnections"][0]["groupIds"] == [
        "postgresqlServer"
    ]


def test_the_deployers_address_is_let_in() -> None:
    (ran,) = run_program(Case(stack="dev", config={**DEV, "deployerIp": "203.0.113.9"}))
    rules = {
        rule.inputs["firewallRuleName"]: rule.inputs["startIpAddress"]
        for rule in ran.of_type("dbforpostgresql:FirewallRule")
    }
    assert rules == {"azure": "0.0.0.0", "deployer": "203.0.113.9"}  # noqa: S104


def test_a_rehearsal_moves_the_endpoints_of_the_deployer_and_nothing_else(runs: dict[str, Ran]) -> None:
    rehearsal = (
        '{"scmUrl":"http://127.0.0.1:8","postgresHost":"127.0.0.1","postgresPort":5433,"postgresSslmode":"disable"}'
    )
    (rehearsed,) = run_program(Case(stack="dev", config={**DEV, "rehearsal": rehearsal}))
    schema, code = (rehearsed.asked[name].inputs for name in ("schema", "code"))
    assert (schema["host"], schema["port"], schema["sslmode"]) == ("127.0.0.1", 5433, "disable")
    assert (code["scm_url"], code["health_url"]) == ("http://127.0.0.1:8", "http://127.0.0.1:8/api/health")
    assert (code["digest"], code["version"]) == ("a" * 64, "b" * 64)
    assert rehearsed.app_settings == runs["dev"].app_settings


def test_stacks_from_before_there_were_components_keep_all_their_resources(runs: dict[str, Ran]) -> None:
    known = {f"{one.type}::{one.name}" for run in runs.values() for one in run.asked.values() if one.flat}
    assert set((ROOT / "tests" / "infra" / "former_resources.txt").read_text().split()) <= known
    queues = {f"azure-native:storage:Queue::queue-{name}" for name in QUEUES}
    assert queues <= known


def test_every_resource_that_can_have_tags_has_all_of_them() -> None:
    (ran,) = run_program(Case(stack="prod", config={**PRIVATE, "tags": '{"cost-center": "4711", "Owner": "ops"}'}))
    wanted = {"cost-center": "4711", "Owner": "ops", "project": PROJECT, "stack": "prod", "managed-by": "pulumi"}
    taggable = {name for name, one in ran.asked.items() if _takes_tags(one.type)}
    assert {name: one.inputs["tags"] for name, one in ran.asked.items() if "tags" in one.inputs} == {
        name: wanted for name in taggable
    }
    assert {"group", "postgres", "database-zone", "database-zone-link"} <= taggable


def _takes_tags(kind: str) -> bool:
    found: Any = resource_class(kind)
    return found is not None and "tags" in signature(found._internal_init).parameters


def test_each_alert_leads_to_its_runbook(ran: Ran) -> None:
    runbooks = "docs/how-to/runbooks.md"
    sections = set(re.findall(r"^## (\S+)$", (ROOT / runbooks).read_text(), re.MULTILINE))
    alerts = [*ran.of_type("monitor:ScheduledQueryRule"), *ran.of_type("monitor:MetricAlert")]
    assert {one.name.removeprefix("alert-") for one in alerts} == sections
    for one in alerts:
        assert f"{runbooks}#{one.name.removeprefix('alert-')}" in one.inputs["description"]
