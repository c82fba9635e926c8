"""Data of a production stack: what destroys it is refused, and what an operator changes every day is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from infra.placement import _PlacementProvider
from tests.infra.program import PROD, Case, Ran, run_program

#: What holds data, and what nobody reaches it without.
DATA = {
    "group",
    "identity",
    "storage",
    "container-uploads",
    "container-results",
    "container-app-package",
    "postgres",
    "database",
    "logs",
    "app",
    "lock-database",
    "lock-uploads",
    "lock-results",
}
OPEN = {**PROD, "deployerIp": "203.0.113.9"}
#: Changes of a running stack, as operators make them.
CHANGES: Mapping[str, Mapping[str, str]] = {
    "the deployer's address is removed": PROD,
    "another address": {**PROD, "deployerIp": "203.0.113.10"},
    "a private network": {**PROD, "privateNetwork": "true"},
    "another database administrator": {**OPEN, "databaseAdminObjectId": "44444444-4444-4444-8444-444444444444"},
    "no standby": {**OPEN, "highAvailability": "false"},
    "another issuer": {**OPEN, "oidcIssuer": "https://id.contoso.com/"},
    "other recipients": {**OPEN, "alertEmails": '["noc@contoso.com"]'},
    "another budget": {**OPEN, "monthlyBudget": "900"},
    "the workbook": {**OPEN, "workbook": "true"},
    "another origin": {**OPEN, "allowedOrigins": '["https://intranet.contoso.com"]'},
}


@pytest.fixture(scope="module")
def ran() -> Ran:
    (ran,) = run_program(Case(stack="prod", config=OPEN))
    return ran


def left_by_destroy(ran: Ran) -> set[str]:
    """Return what a destroy without a preview leaves: what is protected, and what that depends on."""
    protected = {name for name, one in ran.asked.items() if one.protected}
    return protected.union(*(ran.asked[name].after for name in protected))


def below_locks(ran: Ran) -> set[str]:
    """Return the resources that Azure would not delete because of a lock on them, or above them."""
    locked = {one.inputs["scope"] for one in ran.asked.values() if one.name.startswith("lock-")}
    ids = {name: f"/{one.type}/{name}" for name, one in ran.asked.items()}
    return {name for name, id_ in ids.items() if any(scope.endswith(id_) for scope in locked)}


def test_destroy_leaves_all_data_and_the_way_to_it(ran: Ran) -> None:
    left = left_by_destroy(ran)
    assert left >= DATA
    gone = {one.type for name, one in ran.asked.items() if name not in left}
    gone -= {"azure-native:storage:ManagementPolicy"}  # without it files are kept
    assert not {kind for kind in gone if kind.startswith(("azure-native:storage", "azure-native:dbforpostgresql"))}
    assert not {kind for kind in gone if kind.startswith(("azure-native:authorization", "azure-native:network"))}


def test_locks_are_on_the_data_and_nothing_else(ran: Ran) -> None:
    assert below_locks(ran) == {"database", "container-uploads", "container-results"}


def test_locks_are_there_before_the_app_and_so_go_after_it(ran: Ran) -> None:
    assert {name for name in ran.asked if name.startswith("lock-")} <= ran.asked["app"].after


def test_without_protection_destroy_takes_the_locks_away_in_the_end() -> None:
    (ran,) = run_program(Case(stack="prod", config={**OPEN, "deleteProtection": "false"}))
    assert left_by_destroy(ran) == set()
    for name, data in {"lock-database": "database", "lock-uploads": "container-uploads"}.items():
        assert data in ran.asked[name].after
        assert name in ran.asked["app"].after


def test_changes_of_operators_delete_nothing_that_is_protected_or_locked(ran: Ran) -> None:
    changed = run_program(*(Case(stack="prod", config=config) for config in CHANGES.values()))
    kept = DATA | below_locks(ran)
    for change, after in zip(CHANGES, changed, strict=True):
        assert not (ran.asked.keys() - after.asked.keys()) & kept, change
        for name in kept - {"app"}:
            before, now = ran.asked[name].inputs, after.asked[name].inputs
            different = {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}
            # which Azure changes in place
            assert different <= {"network", "highAvailability"}, (change, name)


def test_a_failover_changes_nothing() -> None:
    """The engine ignores these changes; that it is told to is what matters here."""
    (ran,) = run_program(Case(stack="prod", config=OPEN))
    assert ran.asked["postgres"].ignored >= {"availabilityZone", "highAvailability.standbyAvailabilityZone"}


@pytest.mark.parametrize(
    ("before", "refused"),
    [
        ({}, []),
        ({"location": "swedencentral"}, ["azure-native:location"]),
        ({"subscription_id": "55555555-5555-4555-8555-555555555555"}, ["azure-native:subscriptionId"]),
        ({"generation": 2.0}, ["generation"]),
    ],
)
def test_a_stack_does_not_move(ran: Ran, before: dict[str, Any], refused: list[str]) -> None:
    news = ran.asked["placement"].inputs
    provider = _PlacementProvider()
    assert provider.check({}, news).failures == []
    assert [failure.property for failure in provider.check({**news, **before}, news).failures] == refused


def test_nothing_is_created_or_replaced_before_the_place_of_the_stack_is_checked(ran: Ran) -> None:
    free = {name for name, one in ran.asked.items() if "placement" not in one.after}
    assert {name for name in free if ran.asked[name].type.startswith("azure-native:")} == set()


def test_a_new_budget_begins_in_the_present_month(ran: Ran) -> None:
    start = ran.only("consumption:Budget").inputs["timePeriod"]["startDate"]
    assert start.endswith("-01T00:00:00Z")
    assert "timePeriod" in ran.only("consumption:Budget").ignored
