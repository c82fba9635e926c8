"""Where a stack is, as a resource: it refuses to move, since Pulumi would replace the data by empty resources.

Everything else is created after it. Azure-native itself ignores another region, and replaces everything in another
subscription or under other names.
"""

from __future__ import annotations

from typing import Any, Final

from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider

#: The configuration key of each input, what it is called, and its value in states that do not have it.
_FIXED: Final = {
    "location": ("azure-native:location", "region", None),
    "subscription_id": ("azure-native:subscriptionId", "subscription", None),
    "generation": ("generation", "generation", 1),
}


class Placement(Resource):
    """The region, the subscription and the generation of a stack, from its first `up` to its `destroy`."""

    def __init__(self, name: str, *, location: str, subscription_id: str, generation: int) -> None:
        inputs = {"location": location, "subscription_id": subscription_id, "generation": generation}
        super().__init__(_PlacementProvider(), name, inputs)


class _PlacementProvider(ResourceProvider):
    """States contain the name of this class and of its module: see tests/infra/test_providers.py."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        failures = []
        for name, (key, what, unset) in _FIXED.items():
            before, now = olds.get(name, unset), news.get(name)
            if olds and before is not None and before != now:
                message = (
                    f"{_plain(now)} is not the {what} of this stack, whose resources are in {what} {_plain(before)} "
                    f"and cannot be moved; set {_plain(before)} again, or create another stack, or run pulumi destroy "
                    "first"
                )
                failures.append(CheckFailure(key, message))
        return CheckResult(news, failures)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_="placement", outs=props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)


def _plain(value: Any) -> str:
    """Return the value without the fraction that Pulumi gives to all numbers."""
    return str(int(value)) if isinstance(value, float) else str(value)
