"""Kinds by presence, labels and files."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, PermanentError, ResultFile
from queued_jobs.registry import JobRegistry
from tests.unit.queued_jobs.conftest import World


class Ask(BaseModel):
    n: int


class Answer(BaseModel):
    blob: str


def runner(kind: str, queue: str, label: str | Exception = "A label") -> type[JobRunner[Ask, Answer]]:
    class Runner(JobRunner[Ask, Answer]):
        async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
            return Answer(blob="b")

        @classmethod
        def label(cls, request: Ask) -> str:
            if isinstance(label, Exception):
                raise label
            return label

        @classmethod
        def file(cls, result: Answer) -> ResultFile:
            return ResultFile(container="c", blob=result.blob, file_name="f", content_type="t")

    return type("Runner", (Runner,), {"kind": kind, "queue": queue})


@pytest.mark.parametrize("second", [("one", "other"), ("other", "one")])
def test_a_kind_or_queue_that_is_there_twice_is_refused(second: tuple[str, str]) -> None:
    with pytest.raises(TypeError, match="registered twice"):
        JobRegistry([runner("one", "one"), runner(*second)])


def test_every_file_of_a_package_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from pydantic import BaseModel
from queued_jobs import JobRunner
class Ask(BaseModel): pass
class Runner(JobRunner[Ask, None]):
    kind = queue = "{name}"
    async def on_execute(self, request, ctx): return None
"""
    package = tmp_path / "kinds_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("second", "first"):
        (package / f"{name}.py").write_text(source.format(name=name))
    (package / "imports_only.py").write_text("from kinds_of_a_test.first import Runner\n")
    monkeypatch.syspath_prepend(tmp_path)
    module: ModuleType = __import__("kinds_of_a_test")
    assert [kind.kind for kind in JobRegistry.from_package(module)] == ["first", "second"]
    for loaded in [name for name in sys.modules if name.startswith("kinds_of_a_test")]:
        monkeypatch.delitem(sys.modules, loaded)


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ('queue = "demo"\n    def on_execute(self, request, ctx): ...', "Forgetful has no kind"),
        (
            'kind = queue = "demo"\n    def on_exekute(self, request, ctx): ...',
            "Forgetful .*on_execute",
        ),
    ],
)
def test_a_runner_that_would_never_run_is_refused(
    declared: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "half_declared"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text(
        "from pydantic import BaseModel\nfrom queued_jobs import JobRunner\nclass Ask(BaseModel): pass\n"
        f"class Forgetful(JobRunner[Ask, None]):\n    {declared}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module: ModuleType = __import__("half_declared")
    with pytest.raises(TypeError, match=says):
        JobRegistry.from_package(module)
    for loaded in [name for name in sys.modules if name.startswith("half_declared")]:
        del sys.modules[loaded]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("Zip of reports", "Zip of reports"),
        ("  two\nlines\t ", "two lines"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),  # text, and the page treats it as text
        ("\u202egpj.exe", "\ufffdgpj.exe"),
        ("x" * 500, "x" * 119 + "\u2026"),
        ("", "demo"),
        (PermanentError("no label"), "demo"),
        (KeyError("a bug"), "demo"),
    ],
)
async def test_labels_are_short_plain_text(world: World, label: str | Exception, shown: str) -> None:
    assert JobRegistry([runner("demo", "demo", label)]).label(await world.queued()) == shown


@pytest.mark.parametrize("wrong", [None, 5, ["a"], b"x"])
async def test_a_label_that_is_no_text_is_a_failure(world: World, wrong: Any) -> None:
    assert JobRegistry([runner("demo", "demo", wrong)]).label(await world.queued()) == "demo"


async def test_a_failure_is_told_once_for_each_job(world: World, caplog: pytest.LogCaptureFixture) -> None:
    registry = JobRegistry([runner("demo", "demo", KeyError("token=hush\nline"))])
    jobs = [await world.queued() for _ in range(3)]
    for _ in range(10):
        for job in jobs:
            registry.label(job)
    assert [record.getMessage() for record in caplog.records] == [
        f"job {job.id}: label of kind demo failed: KeyError: 'token=***'" for job in jobs
    ]
    assert not any(record.exc_info for record in caplog.records)


async def test_a_failure_that_has_no_text_is_a_failure_like_others(world: World) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert JobRegistry([runner("demo", "demo", Unprintable())]).label(await world.queued()) == "demo"


@pytest.mark.parametrize("wrong", [None, 5, b"x", "", "\0", "a\r\nSet-Cookie: b", "\ud800", "\x7f"])
@pytest.mark.parametrize("name", ["container", "blob", "content_type", "file_name"])
async def test_a_file_that_cannot_be_downloaded_is_not_offered(world: World, name: str, wrong: Any) -> None:
    named: dict[str, Any] = {"container": "c", "blob": "b", "content_type": "t", "file_name": "f"} | {name: wrong}

    class Filed(runner("demo", "demo")):  # type: ignore[misc]
        @classmethod
        def file(cls, result: Answer) -> ResultFile:
            return ResultFile(**named)

    job = dataclasses.replace(await world.run(), result={"blob": "b"})
    # any text can be made a file name
    assert (JobRegistry([Filed]).file(job) is None) == (name != "file_name" or not isinstance(wrong, str))


async def test_an_unknown_kind_is_called_by_its_kind(world: World) -> None:
    registry = JobRegistry([])
    job = await world.queued()
    assert registry.label(job) == "demo"
    assert registry.file(job) is None


async def test_a_job_without_result_has_no_file(world: World) -> None:
    assert JobRegistry([runner("demo", "demo")]).file(await world.queued()) is None


async def test_a_stored_result_of_another_shape_has_no_file(world: World) -> None:
    job = await world.run()
    assert JobRegistry([runner("demo", "demo")]).file(job) is None
