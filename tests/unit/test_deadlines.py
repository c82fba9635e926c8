"""The page of deadlines says what the code does, and names every client of another server."""

from __future__ import annotations

import importlib
import re
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/deadlines.md"
LIMIT = re.compile(r"\| ([0-9.]+) s \| `([a-zA-Z_.]+)\.([A-Z_]+)` \|")
#: How clients of other servers are made.
CLIENT = re.compile(
    r"AsyncConnectionPool\b|psycopg\.AsyncConnection\.connect\(|httpx\.(?:Async)?Client\(|aiohttp\.ClientSession\("
    r"|(?:Blob|Queue)ServiceClient[.(]|DefaultAzureCredential\(|\bopen_connection\(|\burlopen\(|\brequests\.(?:get|post|Session)\("
)
#: Modules whose calls have the deadlines of a module that is listed, and that module.
SHARED = {
    "queued_jobs._pool": "queued_jobs._deadlines",
    # only when an operator asks for it: libpq ends the attempt to connect
    "queued_jobs.schema": "queued_jobs._deadlines",
    "queued_jobs.cli.system": "queued_jobs._deadlines",
}


def listed() -> dict[tuple[str, str], float]:
    """Return the seconds of each limit by module and name."""
    return {(module, name): float(seconds) for seconds, module, name in LIMIT.findall(PAGE.read_text())}


def test_each_limit_is_that_of_the_code() -> None:
    found = listed()
    assert len(found) == sum(line.startswith("| ") for line in PAGE.read_text().splitlines()) - 1
    for (module, name), seconds in found.items():
        value = getattr(importlib.import_module(module), name)
        assert (value.total_seconds() if isinstance(value, timedelta) else value) == seconds, name


def test_each_client_has_a_limit() -> None:
    modules = {module for module, _ in listed()}
    clients = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("functions.")
        for folder in ("queued_jobs", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if CLIENT.search(path.read_text())
    }
    assert {SHARED.get(client, client) for client in clients} <= modules
    assert clients >= {*SHARED, "storage", "api.sign_in.key_set", "queued_jobs.queues", "queued_jobs.push.webhook"}


def test_the_page_has_the_limits_that_are_told() -> None:
    for file, words in (
        ("web/js/api.js", "15 s for a call to the API"),
        ("web/js/sign-in/oidc.js", "10 s for one to the"),
    ):
        milliseconds = re.search(r"^const WITHIN = ([0-9_]+);", (ROOT / file).read_text(), re.MULTILINE)
        assert milliseconds is not None
        assert words.startswith(f"{int(milliseconds[1]) // 1000} s ")
        assert words in " ".join(PAGE.read_text().split())
