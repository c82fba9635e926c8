"""Spreads the test files over workers: each file stays with one of them, and the longest begin first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.times import expected_times
from tools.rehearsal.pulumi_engine import find

#: Tests wait for servers and browsers half of their time.
WORKERS_PER_PROCESSOR = 2
#: More than this many need too much memory.
MAX_WORKERS = 10
#: That many files are run sooner than workers have started.
FEW = 3
#: Needs the engine, which may still be being built.
REHEARSAL = "tests/infra/test_rehearse.py"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many workers `-n auto` means: none where a few files or single tests were asked for."""
    asked = [argument.partition("::") for argument in config.args]
    if len(asked) <= FEW and all(node or Path(path).is_file() for path, _, node in asked):
        return 0
    return min((os.cpu_count() or 1) * WORKERS_PER_PROCESSOR, MAX_WORKERS)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # the order of the collection is the order of the work
    return LoadFileScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files in the order in which workers take them; without workers they stay as they are."""
    if not hasattr(config, "workerinput"):
        return
    times = expected_times()
    engine = find(lambda _: None)

    def place(item: pytest.Item) -> tuple[bool, float, str]:
        name = item.nodeid.partition("::")[0]
        return name == REHEARSAL and engine is None, -times.get(name, 0.0), name

    items.sort(key=place)
