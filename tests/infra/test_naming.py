"""Names of resources fit Azure's rules, whatever the stack is called, and tell stacks apart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from infra.naming import Names

parts = st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=100).filter(
    lambda text: bool(re.search("[a-zA-Z0-9]", text))
)


@given(project=parts, stack=parts)
def test_names_fit_the_rules_of_azure(project: str, stack: str) -> None:
    names = Names(project=project, stack=stack, subscription_id="s")
    assert re.fullmatch(r"[a-z0-9]{3,24}", names.storage_account)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,58}[a-z0-9]", names.function_app)
    assert names.suffix in names.function_app[:32]
    for prefix in ("psql", "sigr", "id", "log", "appi", "plan", "alert-database-connections"):
        assert re.fullmatch(r"[a-z][a-z0-9-]{1,58}[a-z0-9]", names.of(prefix))


def test_another_stack_or_subscription_has_other_names() -> None:
    several = [Names(project="p", stack=stack, subscription_id=id_) for stack in ("a", "b") for id_ in ("1", "2")]
    assert len({names.storage_account for names in several}) == 4
    assert len({names.function_app for names in several}) == 4
    assert Names(project="p", stack="a", subscription_id="1").of("psql") == several[0].of("psql")


def test_another_generation_has_other_names_wherever_azure_keeps_them() -> None:
    all_of_them = [Names(project="p", stack="a", subscription_id="1", generation=number) for number in (1, 2, 3)]
    assert all_of_them[0] == Names(project="p", stack="a", subscription_id="1")
    assert len({name for one in all_of_them for name in (one.storage_account, one.function_app, one.of("psql"))}) == 9
