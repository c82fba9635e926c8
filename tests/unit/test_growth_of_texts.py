"""No function over somebody's text takes more than twice as long for twice the text, whatever the text repeats."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest

from api.http.masking import PayloadView
from api.sign_in.identity import user_id_of
from archive import unused_name
from queued_jobs import JobContext, JobRunner, QueuedJob
from queued_jobs._outcome import describe_error
from queued_jobs.backend import Backend
from queued_jobs.dashboard.search import JobQuery
from queued_jobs.message import JobMessage
from queued_jobs.model import JobError
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.push.signalr import ConnectionString
from queued_jobs.redact import redact_json, to_storable_text
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import FakeQueues, InMemoryRepository
from tests.support.growth import ROOT, attacks, grows_too_fast, repeated, seconds, sources
from tests.support.kinds import Nothing
from tests.unit.queued_jobs.conftest import World
from tests.unit.test_growth import PUT_TOGETHER, written

FOLDERS = ("queued_jobs", "functions")
#: Their functions are not called, since those of a fork may send or delete something.
KINDS = "functions/jobs/"


@cache
def units() -> list[str]:
    """Return what the expressions are made of, and what readers of JSON, paths and text trip over."""
    patterns = [one.pattern for folder in FOLDERS for one in written(folder)[0]]
    return sorted(
        {
            unit
            for pattern in [*patterns, *PUT_TOGETHER["queued_jobs/redact.py"]]
            for _, unit, _ in attacks(pattern)
            if isinstance(unit, str)
        }
        | {
            "password=a@",
            "eyJ-",
            "token=x@",
            "sig=",
            "sig=a&",
            "://a:b@",
            "://a:b",
            'token="',
            "pwd='",
            'pwd=\\"',
            "pwd=\n",
        }
        | {
            *" \n\t\r\0\\\"'/.,:;=@~-_[]{}",
            "\r\n",
            "[0,",
            '{"a":',
            '"",',
            "0,",
            "../",
            "a/",
            "\u0301\u0316",
            "\ud800",
            "\u202e",
        }
    )


def test_there_are_enough_units() -> None:
    assert len(units()) >= 200


class Said(Exception):
    """Says what it was given."""


def error_of(text: str) -> JobError:
    try:
        raise Said(text) from Said(text)
    except Said as exc:
        exc.add_note(text)
        return describe_error(ExceptionGroup(text, [exc, Said(text)]))


def label_of(text: str) -> str:
    class Named(JobRunner[Nothing, None]):
        kind = queue = "demo"

        async def on_execute(self, request: Nothing, ctx: JobContext[None]) -> None: ...

        @classmethod
        def label(cls, request: Nothing) -> str:
            return text

    return JobRegistry([Named]).label(JOB)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


JOB: QueuedJob = asyncio.run(World().queued())

#: Those that take more than a text, and what else takes text.
CALLS: dict[str, Callable[[str], object]] = {
    "storable": lambda text: to_storable_text(text, 200),
    "storable, all of it": lambda text: to_storable_text(text, len(text)),
    "redact_json of texts": lambda text: redact_json({"a": [text, {"b": text}]}),
    "redact_json of names": lambda text: redact_json({text: text}),
    "redact_json of many": lambda text: redact_json([*text.split("a")]),
    "a large payload": lambda text: PayloadView.of({"a": text * 16}),
    "a payload of many": lambda text: PayloadView.of({"a": [text[:8]] * len(text)}),
    "an error": error_of,
    "a label": label_of,
    "a report": lambda text: JobContext(JOB, Backend(InMemoryRepository(), FakeQueues())).report(0.1, text),
    "a queue message": lambda text: JobMessage.decode(encoded(text)),
    "a queue message of another version": lambda text: JobMessage.decode(encoded('{"v":"' + text + '"}')),
    "an owner": lambda text: user_id_of(text, text),
    "a name in a zip": lambda text: unused_name(text, {text.casefold()}, {}),
    "a filter": lambda text: JobQuery(text=text, id_prefix=text).to_params(),
    "a schedule": Ncrontab,
    "a connection string": ConnectionString.parse,
}


def functions() -> dict[str, Callable[[str], object]]:
    """Return each function of a module that takes one text, or any value, and returns something."""
    found: dict[str, Callable[[str], object]] = {}
    for file in sources(FOLDERS):
        if file.startswith(KINDS):
            continue
        for node in ast.parse((ROOT / file).read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.returns is None or ast.unparse(node.returns) == "None":
                continue
            given = [*node.args.posonlyargs, *node.args.args]
            wanted = given[: len(given) - len(node.args.defaults)]
            kind = ast.unparse(wanted[0].annotation) if len(wanted) == 1 and wanted[0].annotation else ""
            if kind in ("str", "str | None", "bytes", "object", "Any"):
                module = file.removesuffix(".py").removeprefix("functions/").replace("/", ".")
                function = getattr(importlib.import_module(module), node.name)
                found[f"{module}.{node.name}"] = partial(_call, function, encoded if kind == "bytes" else str)
    return found


def _call(function: Callable[[Any], object], given: Callable[[str], Any], text: str) -> object:
    return function(given(text))


TAKES_TEXT = CALLS | functions()


def test_functions_are_found() -> None:
    assert {
        "queued_jobs.redact.mask_secrets",
        "archive.safe_name",
        "api.http.json_bodies.parsed",
        "api.http.cursors.cursor_of",
    } <= {*TAKES_TEXT}


@pytest.mark.parametrize("name", TAKES_TEXT)
def test_texts(name: str) -> None:
    def call(text: str) -> None:
        with contextlib.suppress(Exception):  # to refuse it is fine, as long as that takes no longer
            TAKES_TEXT[name](text)

    step = 1 if "redact" in name else len(units()) // 30
    for unit in units()[::step]:
        slow = grows_too_fast(call, partial(repeated, unit))
        assert not slow, (unit, slow)


@pytest.mark.parametrize("name", ["storable", "an error", "a label", "a report"])
@pytest.mark.parametrize("unit", ["password=a@", "eyJ-", "://a:b@", 'token="'])
def test_what_is_cut_takes_no_longer(name: str, unit: str) -> None:
    """Only to copy a longer text takes longer, which is a hundred times faster than to look at it."""
    short, long = (seconds(TAKES_TEXT[name], repeated(unit, length), 5) for length in (16 * 1024, 256 * 1024))
    assert long < 4 * short
