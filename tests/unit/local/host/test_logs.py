from __future__ import annotations

import logging
import re
import subprocess
import sys

from azure_functions_runtime import invocation_id_cv

from tools.functions_host.logs import InvocationFilter, LineFormatter


def _line(message: str, *args: object, exc_info: bool = False) -> str:
    info = sys.exc_info() if exc_info else None
    record = logging.LogRecord("host.test", logging.WARNING, __file__, 1, message, args, info)
    assert InvocationFilter().filter(record)
    return LineFormatter().format(record)


def test_one_line_with_time_level_logger_and_message() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning host\.test hello 1", _line("hello %d", 1))


def test_the_invocation_id_is_in_the_line() -> None:
    token = invocation_id_cv.set("1234")
    try:
        assert _line("hello").endswith("host.test [1234] hello")
    finally:
        invocation_id_cv.reset(token)


def test_a_message_cannot_forge_a_line() -> None:
    assert _line("%s", "a\n12:00:00 info host b\r").count("\n") == 0


def test_a_traceback_is_indented() -> None:
    try:
        raise ValueError("on purpose")
    except ValueError:
        first, *rest = _line("failed", exc_info=True).splitlines()
    assert first.endswith("failed")
    assert rest
    assert all(line.startswith("    ") for line in rest)


def test_the_traceback_of_the_worker_follows_its_line_indented() -> None:
    record = logging.LogRecord("host.invoke", logging.ERROR, __file__, 1, "Failed", (), None)
    record.stack_trace = "Traceback (most recent call last):\n  File x\nValueError: on purpose\n"
    assert InvocationFilter().filter(record)
    first, *rest = LineFormatter().format(record).splitlines()
    assert first.endswith("Failed")
    assert rest == ["    Traceback (most recent call last):", "      File x", "    ValueError: on purpose"]


def test_debug_and_client_libraries_are_quiet_whatever_the_app_sets() -> None:
    code = (
        "import logging; from tools.functions_host.logs import configure_logging; configure_logging()\n"
        "logging.debug('hidden 1'); logging.getLogger('azure.core').info('hidden 2'); logging.info('shown 1')\n"
        "logging.getLogger('httpx').info('hidden 3'); logging.getLogger('azure.core').warning('shown 2')\n"
        "logging.getLogger().setLevel(logging.DEBUG); logging.debug('hidden 4: %s', 'token')"
    )
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert re.findall(r"(?:shown|hidden) \d", process.stderr) == ["shown 1", "shown 2"]
