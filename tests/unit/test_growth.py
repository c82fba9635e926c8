"""No regular expression takes more than twice as long for twice the text, whatever the text repeats."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from infra import validators
from queued_jobs import redact, schema
from tests.support.growth import Expression, attack, attacks, expressions, grows_too_fast
from tools.functions_host import routes
from tools.rehearsal.azure import kinds

FOLDERS = ("queued_jobs", "functions", "infra", "scripts", "tools")
WRITTEN, DYNAMIC = expressions(FOLDERS)
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
OWN = ("tools/docs_and_samples/api_reference.py", "tools/rehearsal/azure/cloud.py")


def test_what_is_put_together_is_listed() -> None:
    assert DYNAMIC - {*OWN} == {*PUT_TOGETHER}


@pytest.mark.parametrize(
    "expression",
    [
        *(one for one in WRITTEN if not one.where.startswith(OWN)),
        *(Expression(file, one, ("split", "fullmatch")) for file, all_ in PUT_TOGETHER.items() for one in all_),
    ],
    ids=lambda one: one.where,
)
def test_expressions(expression: Expression) -> None:
    for method in expression.methods:
        call = getattr(expression.pattern, method if method not in ("sub", "subn", "finditer") else "findall")
        for beginning, unit, end in attacks(expression.pattern):
            slow = grows_too_fast(call, partial(attack, beginning, unit, end))
            assert not slow, (method, beginning, unit, end, slow)
