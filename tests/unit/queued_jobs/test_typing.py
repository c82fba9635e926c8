"""What a type checker knows about a job from its declaration alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

PROGRAM = """
from __future__ import annotations
from typing import assert_type
from pydantic import BaseModel
from datetime import timedelta
from queued_jobs import JobContext, JobHandle, JobRunner
from queued_jobs.batch import Batch, FollowUp
from queued_jobs.blocking import BlockingHandle
from queued_jobs.testing import JobBench, run_inline

SECOND = timedelta(seconds=1)

class Ask(BaseModel):
    n: int

class Answer(BaseModel):
    text: str

class Other(BaseModel):
    pass

class Demo(JobRunner[Ask, Answer]):
    kind = "demo"
    queue = "demo"

    async def on_execute(self, request: Ask, ctx: JobContext[Answer]) -> Answer:
        assert_type(request.n, int)
        {body}
        return Answer(text="")

class Sync(JobRunner[Ask, None]):
    kind = "sync"
    queue = "sync"

    def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        child = ctx.wait(ctx.queue_job(Demo, Ask(n=1)))
        assert_type(child, JobHandle[Answer])

def use_without_a_loop() -> None:
    with JobBench(Demo).manager.blocking() as jobs:
        handle = jobs.queue_job(Demo, Ask(n=1), user_id="ann")
        assert_type(handle, BlockingHandle[Answer])
        assert_type(handle.result(timeout=SECOND), Answer)

async def use() -> None:
    manager = JobBench(Demo, Sync).manager
    handle = await manager.queue_job(Demo, Ask(n=1), user_id="ann")
    assert_type(handle, JobHandle[Answer])
    assert_type(await handle.result(timeout=SECOND), Answer)
    assert_type(await run_inline(Demo, Ask(n=1)), Answer)
    batch = await manager.queue_jobs(
        Demo, [Ask(n=1)], user_id="ann",
        follow_up=FollowUp(runner=Sync, request=Ask(n=2)),
    )
    assert_type(batch, Batch[Answer])
    {use}
"""


def check(tmp_path: Path, **parts: str) -> list[str]:
    """Return the errors of mypy --strict in the program."""
    source = tmp_path / "program.py"
    source.write_text(PROGRAM.format(**({"body": "pass", "use": "pass"} | parts)))
    cache = Path(__file__).resolve().parents[3] / ".mypy_cache"
    report, problems, _ = api.run(["--strict", "--no-error-summary", f"--cache-dir={cache}", str(source)])
    assert problems == ""
    return [line for line in report.splitlines() if ": error: " in line]


def test_a_correct_program_has_no_errors(tmp_path: Path) -> None:
    assert check(tmp_path) == []


@pytest.mark.parametrize(
    ("part", "code", "error"),
    [
        (
            "use",
            "await manager.queue_job(Demo, Other(), user_id='a')",
            'parameter "Request"',
        ),
        (
            "use",
            "await manager.queue_job(Demo, {'n': 1}, user_id='a')",
            'parameter "Request"',
        ),
        ("use", "await run_inline(Demo, Other())", 'parameter "Request"'),
        (
            "use",
            "await manager.queue_jobs(Demo, [Other()], user_id='a')",
            'parameter "Request"',
        ),
        ("use", "FollowUp(runner=Sync, request=Other())", 'parameter "Request"'),
        ("use", "(await run_inline(Demo, Ask(n=1))).missing", '"Answer" has no attribute "missing"'),
        ("body", "await ctx.queue_job(Demo, Other())", 'parameter "ChildRequest"'),
        ("body", "request.missing", '"Ask" has no attribute "missing"'),
        ("body", "await ctx.complete(Other(), conn=object())", 'expected "Answer"'),
        ("body", "return Other()", 'expected "Answer"'),
    ],
)
def test_a_wrong_type_is_an_error(tmp_path: Path, part: str, code: str, error: str) -> None:
    assert any(error in line for line in check(tmp_path, **{part: code}))
