from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest

from tests.plugins.process_state import kept_process_state


def state() -> tuple[object, ...]:
    loggers = (logging.getLogger(), logging.getLogger("azure"), logging.getLogger("azure.functions"))
    settings = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return [(one.level, list(one.handlers), one.disabled) for one in loggers], list(sys.path), os.getcwd(), settings


def test_what_a_test_changes_of_the_process_ends_with_it(tmp_path: Path) -> None:
    before = state()
    with kept_process_state():
        logging.getLogger().addHandler(logging.NullHandler())
        logging.getLogger("azure").setLevel(logging.CRITICAL)
        logging.getLogger("azure.functions").disabled = True
        sys.path.insert(0, str(tmp_path))
        os.chdir(tmp_path)
        os.environ["LEFT_BEHIND"] = "yes"
        os.environ.pop("PATH")
        assert state() != before
    assert state() == before


def test_a_logger_made_in_a_test_is_not_quiet_in_the_next(caplog: pytest.LogCaptureFixture) -> None:
    with kept_process_state():
        logging.getLogger("made.in.a.test").setLevel(logging.CRITICAL)
    with caplog.at_level(logging.INFO):
        logging.getLogger("made.in.a.test").info("heard")
    assert caplog.messages == ["heard"]
