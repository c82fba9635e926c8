"""No regular expression takes more than twice as long for twice the text, whatever the text repeats."""

from __future__ import annotations

import re
from functools import cache, partial
from typing import Any

import pytest

from infra import validators
from queued_jobs import redact, schema
from tests.support.growth import Expression, attack, attacks, expressions, grows_too_fast
from tools.functions_host import routes
from tools.rehearsal.azure import kinds

FOLDERS = ("queued_jobs", "functions", "infra", "scripts", "tools")
#: What is put together: as it is then.
PUT_TOGETHER: dict[str, list[re.Pattern[Any]]] = {
    "infra/validators.py": [validators._HOST],
    "queued_jobs/redact.py": [redact._WHOLE, redact._CUT],
    "queued_jobs/schema.py": [schema._PLACE],
    "tools/functions_host/routes.py": [
        re.compile(f"api/(?P<a>{form})/(?:b/(?P<c>.*))?") for form in routes._CONSTRAINTS.values()
    ],
    "tools/rehearsal/azure/provider.py": [
        re.compile(one.rule[0]) for one in kinds.KINDS.values() if one.rule is not None
    ],
}
#: These read our own sources, and ids that our own program makes.
OWN = (
    "tools/docs_and_samples/api_reference.py",
    "tools/docs_and_samples/elements.py",
    "tools/rehearsal/azure/cloud.py",
)


@cache
def written(*folders: str) -> tuple[list[Expression], set[str]]:
    """Return what `expressions` finds; not when tests are collected, since every worker collects all of them."""
    return expressions(folders)


def test_what_is_put_together_is_listed() -> None:
    dynamic = {file for folder in FOLDERS for file in written(folder)[1]}
    assert dynamic - {*OWN} == {*PUT_TOGETHER}


@pytest.mark.parametrize("folder", FOLDERS)
def test_expressions(folder: str) -> None:
    found = [one for one in written(folder)[0] if not one.where.startswith(OWN)]
    assert found
    for expression in found:
        _grows_linearly(expression)


@pytest.mark.parametrize("file", PUT_TOGETHER)
def test_expressions_that_are_put_together(file: str) -> None:
    for pattern in PUT_TOGETHER[file]:
        _grows_linearly(Expression(file, pattern, ("split", "fullmatch")))


def _grows_linearly(expression: Expression) -> None:
    for method in expression.methods:
        call = getattr(expression.pattern, method if method not in ("sub", "subn", "finditer") else "findall")
        for beginning, unit, end in attacks(expression.pattern):
            slow = grows_too_fast(call, partial(attack, beginning, unit, end))
            assert not slow, (expression.where, method, beginning, unit, end, slow)
