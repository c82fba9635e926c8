"""What the documents say holds: their examples run, their links lead somewhere, their settings are the real ones."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from queued_jobs import JobRunner, JobStatus
from queued_jobs.cli.app import app as cli
from queued_jobs.testing import JobBench
from settings import setting_names
from tools.docs_and_samples import api_reference

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def runner_of(document: str, monkeypatch: pytest.MonkeyPatch) -> type[JobRunner[Any, Any]]:
    """Run the first Python example of a document and return the runner that it defines."""
    found = re.search(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    assert found is not None
    module = ModuleType("example")
    monkeypatch.setitem(sys.modules, "example", module)  # where pydantic looks up what annotations name
    exec(compile(found[1], document, "exec"), module.__dict__)  # noqa: S102 (our own document)
    (runner,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, JobRunner) and value is not JobRunner
    ]
    return runner


@pytest.mark.parametrize(
    ("document", "request_", "result"),
    [
        ("README.md", {"name": "Ada"}, {"text": "Hello, Ada!"}),
        ("docs/tutorial/first-job.md", {"text": "quick brown"}, {"words": 2}),
        ("queued_jobs/README.md", {"text": "quick brown"}, {"words": 2}),
    ],
)
async def test_the_first_example_is_a_job_that_runs(
    document: str, request_: dict[str, str], result: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = runner_of(document, monkeypatch)
    bench = JobBench(kind)
    handle = await bench.manager.queue_job(kind, kind.request_type.model_validate(request_), user_id="ann")
    await bench.drain()
    job = bench.job(handle)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, result)


async def test_the_examples_of_the_testing_kit_run(monkeypatch: pytest.MonkeyPatch) -> None:
    word_count = runner_of("docs/tutorial/first-job.md", monkeypatch)
    names = {"WordCount": word_count, "WordCountRequest": word_count.request_type}
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to/test-your-jobs.md").read_text(), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        code = compile(example, "docs/how-to/test-your-jobs.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, names)  # noqa: S307 (our own document)


async def test_a_job_is_started_from_code_as_the_how_to_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    word_count = runner_of("docs/tutorial/first-job.md", monkeypatch)
    text = (ROOT / "docs/how-to/start-jobs-from-your-code.md").read_text()
    with_a_loop, without, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    bench = JobBench(word_count)
    names = {
        "WordCount": word_count,
        "WordCountRequest": word_count.request_type,
        "manager": bench.manager,
        "timedelta": timedelta,
    }
    code = compile(with_a_loop, "docs/how-to", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    example = asyncio.ensure_future(eval(code, names))  # noqa: S307 (our own document)
    while not example.done():
        await bench.drain()
        await asyncio.sleep(0.01)
    await example
    # the store in memory has no tracker
    program = without.replace("jobs.call(manager.tracker.for_user, ", "repr(")
    program = program.replace("    print(", "    jobs.call(drain)\n    print(", 1)
    await asyncio.to_thread(exec, program, names | {"drain": bench.drain})
    assert capsys.readouterr().out.split() == ["4", "4"]


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if path != api_reference.PAGE],  # signatures
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_examples_are_python(document: Path) -> None:
    for example in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        ast.parse(textwrap.dedent(example))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", document.read_text()):
        if "://" not in target:
            file = document.parent / target if target else document
            assert file.exists(), target
            assert not heading or file.suffix != ".md" or heading in anchors(file), f"{target}#{heading}"


@cache
def anchors(document: Path) -> set[str]:
    """The ids that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_common_changes_are_made_where_the_table_says() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Common changes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[2:]  # without the heading
    assert len(rows) >= 10
    for change, edit in rows:
        links = re.findall(r"\]\(([^)#]+)", edit)
        places = [name for name in tracked() if any(name == link or name.startswith(f"{link}/") for link in links)]
        content = "\n".join((ROOT / name).read_text() for name in places)
        for name in re.findall(r"(?<!\[)`(-*\.?\w+)(?:\(\.\.\.\))?`(?!\])", edit):
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", content), f"{change}: no {name} in its files"


#: File names in the documents that a reader creates, or that exist at run time only.
NOT_IN_THE_TREE = {
    *("functions/jobs/word_count.py", "web/js/renderers/word-count.js", "word_count.py"),
    *("Pulumi.STACK.yaml", "/api/openapi.json", ".copier-answers.yml"),
}


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(listed.splitlines())


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if path != api_reference.PAGE],  # names attributes such as `Money.json`
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_quoted_file_names_exist(document: Path) -> None:
    prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    endings = "py|js|mjs|css|sql|md|html|json|svg|toml|txt|ya?ml"
    for name in set(re.findall(rf"`([^`\s]+\.(?:{endings}))`", prose)) - NOT_IN_THE_TREE:
        wanted = "/" + name.lstrip("/")
        assert any(f"/{path}".endswith(wanted) for path in tracked()), name


#: Quoted texts that are written by Azure, Pulumi, libpq or GitHub.
FOREIGN = {
    "ParameterOutOfRange ... Version should be in: []",
    "Multi-Zone HA is not supported",
    "AuthorizationFailed ... roleAssignments/write",
    "certificate verify failed",
    "no pg_hba.conf entry",
    "password authentication failed",
    "the stack is currently locked",
    "Conflict: budget start date",
    "JOB ID",
}


@cache
def sources() -> str:
    """All our sources, with the parts of strings that span lines joined."""
    ours = [name for name in tracked() if re.match(r"(queued_jobs|functions|infra|scripts|tools|web/js)/", name)]
    text = "\n".join((ROOT / name).read_text() for name in ours if name.endswith((".py", ".js")))
    return re.sub(r'"\s+f?"', "", text)


def quoted_texts() -> Iterator[tuple[str, str]]:
    """Yield the error messages, log lines and labels that the documents quote; dots stand for what varies."""
    for path in DOCUMENTS:
        text, name = path.read_text(), path.relative_to(ROOT).as_posix()
        if name == "docs/how-to/troubleshoot-azure.md":
            for cell in re.findall(r"^\| (.*?) \| ", text, re.MULTILINE):
                yield from ((name, quote) for quote in re.findall(r"`([^`]+)`", cell) if quote.count(" ") >= 2)
        yield from ((name, quote) for quote in re.findall(r'Message has "([^"]+)"', text))
        yield from ((name, quote) for quote in re.findall(r'(?:in the log \(|has a line )"([^"]+)"', text))
        if name.startswith("docs/tutorial/"):
            yield from ((name, label) for label in re.findall(r"\*\*([^*]+)\*\*", text))


def test_quoted_texts_occur_in_the_sources() -> None:
    found = [(name, quote) for name, quote in quoted_texts() if quote not in FOREIGN]
    assert len(found) >= 10, "the documents quote texts"
    for name, quote in found:
        for part in filter(None, map(str.strip, quote.split("..."))):
            assert part in sources(), f"{name} quotes {part!r}, which no source contains"


def test_every_setting_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE)
    assert set(described) == setting_names() | {"AzureWebJobsStorage", "AZURE_CLIENT_ID"}


def test_every_route_is_described() -> None:
    text = (ROOT / "docs/reference/http-api.md").read_text()
    for path in (ROOT / "functions/api").glob("*.py"):
        for route in re.findall(r'@routes\.\w+\("(/[\w{}/-]+)"', path.read_text()):
            assert route.rpartition("/")[2].replace("{job_id}", "{id}") in text, route


def test_the_reference_of_the_library_is_the_one_of_its_docstrings() -> None:
    assert api_reference.PAGE.read_text() == api_reference.page(), "run: python -m tools.docs_and_samples.api_reference"


def test_every_command_and_option_is_described() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    for command in cli.registered_commands:
        assert re.search(rf"^\| `{command.name}\b", text, re.MULTILINE), command.name
        assert command.callback is not None
        for name in inspect.signature(command.callback).parameters:
            if name not in ("job_id", "queue", "app", "as_json"):
                assert f"--{name.replace('_', '-')}" in text or name in ("database_url", "queues"), name
