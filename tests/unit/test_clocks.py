"""What is due is decided by the database's clock: the library reads this machine's clock in a few places only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Calls that return the time of day; a monotonic clock measures spans and may be read anywhere.
CLOCKS = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
#: Where the time of this machine is meant, and why.
ALLOWED = {
    ("queued_jobs/cli/values.py", "datetime.now"): "an age that a person types",
    ("queued_jobs/push/signalr.py", "time.time"): "the expiry of a token, which another service checks",
    ("queued_jobs/push/signing.py", "time.time"): "the same",
    ("queued_jobs/push/webhook.py", "time.time"): "the time of a signature, which another service checks",
    ("queued_jobs/testing/clock.py", "datetime.now"): "stands for the database's clock in tests",
}


def clock_reads(source: str) -> Iterator[str]:
    """Yield what a module uses to read the time of day, as `datetime.now`, whatever it calls it."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
            for alias in node.names:
                if node.module == "time" and alias.name in CLOCKS["time"]:
                    yield f"time.{alias.name}"
    for node in ast.walk(tree):
        # also where it is passed on without a call, as a default
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            owner = names.get(owner, owner)
            if node.attr in CLOCKS.get(owner, ()):
                yield f"{owner}.{node.attr}"


def test_the_library_reads_the_databases_clock() -> None:
    found = {
        (str(path.relative_to(ROOT)), read)
        for path in (ROOT / "queued_jobs").rglob("*.py")
        for read in clock_reads(path.read_text())
    }
    assert found == {*ALLOWED}


@pytest.mark.parametrize(
    "source",
    [
        "import time\nnow = time.time()",
        "import time as clock\nnow = clock.time()",
        "from time import time\nnow = time()",
        "from datetime import UTC, datetime\nnow = datetime.now(UTC)",
        "import datetime\nnow = datetime.datetime.utcnow()",
        "import datetime as dt\nnow = dt.date.today()",
        "from datetime import datetime as moment\nnow = moment.now()",
        "from dataclasses import field\nfrom datetime import datetime\nat = field(default_factory=datetime.now)",
    ],
)
def test_every_form_is_found(source: str) -> None:
    assert list(clock_reads(source))


@pytest.mark.parametrize(
    "source",
    [
        "import time\nspan = time.monotonic()",
        "from datetime import timedelta\nspan = timedelta(days=1)",
        "async def f(repository):\n    return await repository.now()",
    ],
)
def test_nothing_else_is(source: str) -> None:
    assert not list(clock_reads(source))
