"""The emulator of Azure rejects what Azure would reject: a rehearsal that cannot fail would show nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from infra.project import PROJECT
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tools.rehearsal.azure import arguments
from tools.rehearsal.azure import cloud as cloud_module
from tools.rehearsal.azure.cloud import Cloud, Refused
from tools.rehearsal.azure.kinds import KINDS, SUBSCRIPTION, kind_of
from tools.rehearsal.azure.provider import Provider
from tools.rehearsal.azure.wire import UNKNOWN, decode, encode

ROOT = Path(__file__).resolve().parents[2]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
ACCOUNT: dict[str, Any] = {
    "resourceGroupName": "rg",
    "accountName": "store",
    "location": "westeurope",
    "kind": "StorageV2",
    "sku": {"name": "Standard_LRS"},
}
SERVER: dict[str, Any] = {"resourceGroupName": "rg", "serverName": "psql", "location": "westeurope"}


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    make(cloud, "resources:ResourceGroup", {"resourceGroupName": "rg", "location": "westeurope"})
    return cloud


def urn(token: str, name: str = "it") -> str:
    return f"urn:pulumi:dev::{PROJECT}::azure-native:{token}::{name}"


def make(cloud: Cloud, token: str, inputs: dict[str, Any]) -> str:
    kind = KINDS[token]
    cloud.create(urn(token), kind, kind.id_of(inputs), inputs)
    return kind.id_of(inputs)


def check(cloud: Cloud, token: str, news: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
    request = provider_pb2.CheckRequest(urn=urn(token), news=encode(news), olds=encode(olds or {}))
    return Provider(cloud).Check(request, None)


def failures(cloud: Cloud, token: str, news: dict[str, Any]) -> str:
    return "\n".join(failure.reason for failure in check(cloud, token, news).failures)


def test_every_kind_is_in_the_sdk_and_made_of_inputs_that_it_has() -> None:
    for token, kind in KINDS.items():
        assert arguments.resource_class(f"azure-native:{token}") is not None, token
        for name in kind.names:
            assert arguments.accepts(f"azure-native:{token}", name), f"{token} {name}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sku": {"name": "Standard_LRSX"}}, "sku.name is 'Standard_LRSX'"),
        ({"sku": {}}, "sku.name is required"),
        ({"sku": "Standard_LRS"}, "sku is 'Standard_LRS', not an object"),
        ({"kind": None}, "kind is required"),
        ({"allow_blob_public_access": False}, "allow_blob_public_access is unknown"),
        ({"allowSharedKeyAccess": "no"}, "allowSharedKeyAccess is 'no', not of type bool"),
        ({"networkRuleSet": {"defaultAction": "Allow", "ipRules": {}}}, "networkRuleSet.ipRules is {}, not a list"),
        ({"accountName": "No_Such-Name"}, "accountName is 'No_Such-Name'"),
        ({"tags": {"a": 1}}, "tags.a is 1.0, not of type str"),
    ],
)
def test_bad_inputs_fail_the_check(cloud: Cloud, change: dict[str, Any], reason: str) -> None:
    news = {name: value for name, value in (ACCOUNT | change).items() if value is not None}
    assert reason in failures(cloud, "storage:StorageAccount", news)


def test_good_and_unknown_inputs_pass_the_check(cloud: Cloud) -> None:
    assert failures(cloud, "storage:StorageAccount", ACCOUNT) == ""
    assert failures(cloud, "storage:StorageAccount", ACCOUNT | {"accountName": UNKNOWN, "sku": UNKNOWN}) == ""


def test_a_kind_that_is_not_known_is_refused(cloud: Cloud) -> None:
    assert "azure-native:keyvault:Vault" in failures(cloud, "keyvault:Vault", {})


def test_a_name_is_made_up_and_kept(cloud: Cloud) -> None:
    nameless = {name: value for name, value in ACCOUNT.items() if name != "accountName"}
    first = decode(check(cloud, "storage:StorageAccount", nameless).inputs)
    assert first["accountName"].startswith("it")
    again = decode(check(cloud, "storage:StorageAccount", nameless, first | {"accountName": "older"}).inputs)
    assert again["accountName"] == "older"


def test_another_name_replaces_and_another_setting_updates(cloud: Cloud) -> None:
    def diff(change: dict[str, Any]) -> Any:
        request = provider_pb2.DiffRequest(
            urn=urn("storage:StorageAccount"), old_inputs=encode(ACCOUNT), news=encode(ACCOUNT | change)
        )
        return Provider(cloud).Diff(request, None)

    assert list(diff({"accountName": "other"}).replaces) == ["accountName"]
    assert list(diff({"sku": {"name": "Standard_ZRS"}}).replaces) == []
    assert list(diff({"sku": {"name": "Standard_ZRS"}}).diffs) == ["sku"]
    assert diff({}).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_change_is_ignored_where_it_is_and_nowhere_else(cloud: Cloud) -> None:
    def diff(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
        request = provider_pb2.DiffRequest(
            urn=urn("dbforpostgresql:Server"),
            old_inputs=encode(SERVER | old),
            news=encode(SERVER | new),
            ignoreChanges=["availabilityZone", "highAvailability.standbyAvailabilityZone"],
        )
        return list(Provider(cloud).Diff(request, None).diffs)

    before = {"availabilityZone": "1", "highAvailability": {"mode": "ZoneRedundant", "standbyAvailabilityZone": "2"}}
    assert diff(before, {"availabilityZone": "2", "highAvailability": {"mode": "ZoneRedundant"}}) == []
    assert diff(before, {"highAvailability": {"mode": "Disabled"}}) == ["highAvailability"]


def test_a_name_that_azure_keeps_is_not_given_again(cloud: Cloud) -> None:
    id_ = make(cloud, "dbforpostgresql:Server", SERVER)
    cloud.delete(urn("dbforpostgresql:Server"), id_)
    with pytest.raises(Refused, match="ServerNameAlreadyExists"):
        make(cloud, "dbforpostgresql:Server", SERVER)
    make(cloud, "dbforpostgresql:Server", SERVER | {"serverName": "another"})


def test_only_azure_knows_some_outputs_before_the_resource_exists(cloud: Cloud) -> None:
    request = provider_pb2.CreateRequest(urn=urn("storage:StorageAccount"), properties=encode(ACCOUNT), preview=True)
    outputs = decode(Provider(cloud).Create(request, None).properties)
    assert outputs["primaryEndpoints"] == UNKNOWN
    assert outputs["kind"] == "StorageV2"
    assert len(cloud.resources()) == 1  # the group


def test_a_preview_answers_no_identities_in_the_shape_in_which_they_are_asked_for(cloud: Cloud) -> None:
    app = {"name": "app", "identity": {"userAssignedIdentities": ["/id"]}, "siteConfig": UNKNOWN}
    request = provider_pb2.UpdateRequest(urn=urn("web:WebApp"), news=encode(app), preview=True)
    assert decode(Provider(cloud).Update(request, None).properties)["identity"] == UNKNOWN


def test_what_exists_already_is_not_made_again(cloud: Cloud) -> None:
    make(cloud, "storage:StorageAccount", ACCOUNT)
    with pytest.raises(Refused, match="cannot create already existing resource"):
        make(cloud, "storage:StorageAccount", ACCOUNT)


def test_a_part_needs_its_whole_and_a_reference_its_target(cloud: Cloud) -> None:
    with pytest.raises(Refused, match="ParentResourceNotFound"):
        make(cloud, "storage:Queue", {"resourceGroupName": "rg", "accountName": "store", "queueName": "jobs"})
    with pytest.raises(Refused, match="ResourceGroupNotFound"):
        make(cloud, "storage:StorageAccount", ACCOUNT | {"resourceGroupName": "other"})
    plan = f"{GROUP}/providers/Microsoft.Web/serverfarms/plan"
    app = {"resourceGroupName": "rg", "name": "app", "serverFarmId": plan}
    with pytest.raises(Refused, match="LinkedResourceNotFound"):
        make(cloud, "web:WebApp", app)
    make(cloud, "web:AppServicePlan", {"resourceGroupName": "rg", "name": "plan"})
    make(cloud, "web:WebApp", app)
    with pytest.raises(Refused, match="ContainerNotFound"):
        make(cloud, "web:WebApp", app | {"name": "other", "url": "https://store.blob.core.windows.net/app-package"})


def test_two_changes_of_one_database_server_at_once_are_refused(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    make(cloud, "dbforpostgresql:Server", SERVER)
    is_at_work, may_end = threading.Event(), threading.Event()

    def work(_seconds: float) -> None:
        is_at_work.set()
        assert may_end.wait(PATIENCE_SECONDS)

    with monkeypatch.context() as patch:
        patch.setattr(cloud_module, "time", SimpleNamespace(sleep=work, time=time.time))
        rules = [SERVER | {"firewallRuleName": name} for name in ("one", "two")]
        first = threading.Thread(target=make, args=(cloud, "dbforpostgresql:FirewallRule", rules[0]))
        first.start()
        try:
            assert is_at_work.wait(PATIENCE_SECONDS)
            with pytest.raises(Refused, match=r"^ServerIsBusy"):
                make(cloud, "dbforpostgresql:FirewallRule", rules[1])
        finally:
            may_end.set()
            first.join()
    make(cloud, "dbforpostgresql:FirewallRule", SERVER | {"firewallRuleName": "three"})
    assert [call["name"] for call in cloud.calls() if "refused" in call] == ["it"]


def test_a_lock_keeps_a_resource_and_its_parts(cloud: Cloud) -> None:
    account = make(cloud, "storage:StorageAccount", ACCOUNT)
    lock = make(cloud, "authorization:ManagementLockByScope", {"scope": account, "lockName": "keep"})
    for id_ in (account, GROUP):
        with pytest.raises(Refused, match="ScopeLocked"):
            cloud.delete(urn("it"), id_)
    cloud.delete(urn("it"), lock)
    cloud.delete(urn("it"), GROUP)
    assert cloud.resources() == {}
    cloud.delete(urn("it"), GROUP)  # gone already


def test_a_resource_is_there_before_its_creation_is_answered(cloud: Cloud) -> None:
    cloud.hold("it")
    creation = threading.Thread(target=make, args=(cloud, "storage:StorageAccount", ACCOUNT), daemon=True)
    creation.start()
    wait_until(lambda: len(cloud.resources()) == 2, "it is there")
    assert [call["operation"] for call in cloud.calls()] == ["create"], "of the group only"
    Provider(cloud).Cancel(None, None)
    creation.join(PATIENCE_SECONDS)
    assert not creation.is_alive()


def test_a_resource_is_gone_before_its_deletion_is_answered(cloud: Cloud) -> None:
    account = make(cloud, "storage:StorageAccount", ACCOUNT)
    cloud.hold("it")
    deletion = threading.Thread(target=cloud.delete, args=(urn("storage:StorageAccount"), account), daemon=True)
    deletion.start()
    wait_until(lambda: account not in cloud.resources(), "it is gone")
    assert "delete" not in [call["operation"] for call in cloud.calls()]
    cloud.cancel()
    deletion.join(PATIENCE_SECONDS)
    assert not deletion.is_alive()


def test_what_is_gone_has_no_id(cloud: Cloud) -> None:
    account = make(cloud, "storage:StorageAccount", ACCOUNT)
    request = provider_pb2.ReadRequest(urn=urn("storage:StorageAccount"), id=account)
    assert Provider(cloud).Read(request, None).id == account
    cloud.forget(account)
    assert Provider(cloud).Read(request, None).id == ""


def test_keys_are_not_handed_out(cloud: Cloud) -> None:
    answer = Provider(cloud).Invoke(provider_pb2.InvokeRequest(tok="azure-native:storage:listStorageAccountKeys"), None)
    assert "listStorageAccountKeys" in answer.failures[0].reason
    assert kind_of("azure-native:storage:Blob") is None  # which the real provider writes with the account's key


def test_threads_that_ask_at_the_same_moment_see_whole_modules() -> None:
    """In a process of its own, since modules are imported once."""
    program = """
from concurrent.futures import ThreadPoolExecutor
from tools.rehearsal.azure import arguments
tokens = [f"azure-native:{name}" for name in (
    "storage:StorageAccount", "storage:Queue", "storage:BlobServiceProperties", "authorization:RoleAssignment")] * 3
with ThreadPoolExecutor(len(tokens)) as pool:
    print(min(len(names) for names in pool.map(arguments.output_names, tokens)))
"""
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert int(ended.stdout) > 0
