"""Gives each test the process as the one before it found it, as tests of many files share one worker."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    with kept_process_state():
        yield


@contextmanager
def kept_process_state() -> Iterator[None]:
    """Put the levels and handlers of all loggers, the environment, the import path and the folder back afterwards.

    A command that runs inside the test makes a chatty logger quiet, and the next test waits for its records.
    """
    known, path, folder, environment = _loggers(), list(sys.path), os.getcwd(), dict(os.environ)
    try:
        yield
    finally:
        for name, (_, handlers, _) in _loggers().items():
            level, kept, disabled = known.get(name, (logging.NOTSET, handlers, False))
            logger = logging.getLogger(name)
            if logger.level != level:
                logger.setLevel(level)
            logger.handlers[:] = kept
            logger.disabled = disabled
        sys.path[:] = path
        os.chdir(folder)
        for variable in os.environ.keys() - environment.keys() - {"PYTEST_CURRENT_TEST"}:
            del os.environ[variable]
        os.environ.update(environment)


def _loggers() -> dict[str, tuple[int, list[logging.Handler], bool]]:
    """Return the level, the handlers and the switch of each logger; the root's name is empty."""
    loggers = {"": logging.getLogger(), **logging.Logger.manager.loggerDict}
    return {
        name: (one.level, list(one.handlers), one.disabled)
        for name, one in loggers.items()
        if isinstance(one, logging.Logger)
    }
