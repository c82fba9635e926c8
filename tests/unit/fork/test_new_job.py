"""`scripts/new-job`: what it refuses, and that it changes all files or none."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from keyword import kwlist, softkwlist
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from pydantic import BaseModel

from scripts.fork import job_spec, new_job
from scripts.fork.errors import Refused
from scripts.fork.fields import read_fields
from scripts.fork.kinds import find_kinds

ROOT = Path(__file__).resolve().parents[3]
PARTS = ("functions/jobs", "web/js/renderers", "web/js/demo-page", "web/index.html", "web/dashboard.html", "tests/e2e")
Contents = dict[str, bytes]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The part of the repository that the command reads and changes."""
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def contents(checkout: Path) -> Contents:
    return {
        path.relative_to(checkout).as_posix(): path.read_bytes()
        for path in checkout.rglob("*")
        if path.is_file() and ".local" not in path.parts
    }


#: Each in its own way no name of a kind.
NAMES = (
    *("class", "Job", "../x", "/etc/x", "probe", "a" * 200, "w\u00f6rt", "", "ab", "x--y", "-x", "1st", "none"),
    *("index", "registry", "exception", "job-context", "job-runner", "sweep", "sweep-uploads", "x-poison"),
    *(
        "x-schedule",
        "word_count",
        "a b",
        "word-count\n",
        "import",
        "type",
        "probe-",
        "test",
        "test-mail",
        "testimonials",
    ),
)
#: Words that mean something to Python, to a library or to the tests, some of which can be names of a kind: a sample.
WORDS = (
    *("json", "asyncio", "typing", "pydantic", "test", "tests", "testing-ground", "conftest", "fixture", "unittest"),
    *sorted({*sys.stdlib_module_names, *packages_distributions(), *kwlist, *softkwlist, *dir(builtins)})[::25],
)
#: Options with which a kind cannot be made.
OPTIONS = (
    ("--request", "Text:str"),
    ("--request", "class:str"),
    ("--request", "model_config:str"),
    ("--request", "copy:str"),
    ("--request", "to_string:str"),
    ("--request", "value_of:int?"),
    ("--request", "date:date?"),
    ("--request", "a:list"),
    ("--request", "a:str", "a:int"),
    ("--request", "a_b:str", "a_B:int"),
    ("--request", "__proto__:str"),
    ("--request", *(f"f{number}:int" for number in range(31))),
    ("--result", "constructor:int"),
    ("--result", "blob:str", "--file-result"),
    ("--schedule", "tomorrow"),
    ("--schedule", "0 0 0 31 2 *"),
    ("--schedule", ""),
    ("--schedule", "0 " + ",".join(map(str, range(60))) + " * * * *"),
    ("--priorities", "poison"),
    ("--priorities", "Urgent"),
    ("--priorities", "a" * 30),
    ("--priorities", "urgent", "urgent"),
)


def test_what_cannot_be_used_changes_nothing(checkout: Path) -> None:
    before = contents(checkout)
    tried = [
        *(["--", name] for name in NAMES),
        *(["--remove", "--", name] for name in NAMES),
        *(["word-count", *options] for options in OPTIONS),
    ]
    assert [arguments for arguments in tried if new_job.main(arguments, checkout) != 1] == []
    assert contents(checkout) == before


@bounded(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=50) | st.from_regex(r"[a-z_]{1,12}(:[a-z]{0,8}\??)?", fullmatch=True))
def test_any_text_is_a_field_or_refused(word: str) -> None:
    try:
        (field,) = read_fields([word])
    except Refused:
        return
    compile(field.declaration, "field", "exec")


@pytest.mark.parametrize("name", [name for name in dir(BaseModel) if not name.startswith("_")])
def test_an_attribute_of_the_model_is_no_field(name: str) -> None:
    with pytest.raises(Refused):
        read_fields([f"{name}:str"])


@bounded(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True))
def test_any_text_is_a_name_or_refused(name: str) -> None:
    try:
        job_spec.check_name(name)
    except Refused:
        return
    spec = job_spec.JobSpec(kind=name)
    compile(f"import {spec.module}\nclass {spec.runner}: ...", "module", "exec")


def test_the_test_of_each_word_that_can_be_a_kind_passes(checkout: Path) -> None:
    taken = {path.stem.replace("_", "-") for path in checkout.glob("web/js/renderers/*.js")}
    words = {word.lower().replace("_", "-") for word in WORDS} - taken
    kinds = [word for word in sorted(words) if new_job.main(["--request=text:str", "--", word], checkout) == 0]
    assert {"json", "asyncio", "typing", "pydantic"} <= set(kinds)
    shutil.copytree(ROOT / "queued_jobs", checkout / "queued_jobs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", checkout)
    run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--noconftest", "tests/unit/jobs"]
    done = subprocess.run(run, cwd=checkout, capture_output=True, text=True, check=False)
    assert (done.returncode, len(kinds)) == (0, len(list(checkout.glob("tests/unit/jobs/test_*.py")))), done.stdout[
        -2000:
    ]


def test_a_kind_is_there_once_and_its_removal_leaves_nothing_of_it(checkout: Path) -> None:
    before = contents(checkout)
    arguments = ["word-count", "--request", "text:str", "--result", "words:int", "--priorities", "urgent"]
    assert new_job.main(arguments, checkout) == 0
    made = contents(checkout)
    assert "functions/jobs/word_count.py" in made.keys() - before.keys()
    assert new_job.main(arguments, checkout) == 1
    assert new_job.main(["word-count-urgent"], checkout) == 1, "the queue is taken"
    assert contents(checkout) == made
    assert new_job.main(["word-count", "--remove"], checkout) == 0
    assert contents(checkout) == before
    assert new_job.main(["word-count", "--remove"], checkout) == 1


def test_what_no_commit_has_is_copied_before_it_is_removed(checkout: Path) -> None:
    git = ("git", "-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C", str(checkout))
    assert new_job.main(["clean"], checkout) == 0
    assert new_job.main(["dirty"], checkout) == 0
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "all")):
        subprocess.run((*git, *command), check=True)
    job = checkout / "functions/jobs/dirty.py"
    job.write_text(f"{job.read_text()}# a day of work\n")
    assert new_job.main(["clean", "--remove"], checkout) == 0
    assert not (checkout / ".local").exists()
    assert new_job.main(["dirty", "--remove"], checkout) == 0
    kept = [path for path in (checkout / ".local").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["dirty.py"]
    assert kept[0].read_text().endswith("# a day of work\n")


def test_a_kind_that_others_import_stays(checkout: Path) -> None:
    assert new_job.main(["word-count"], checkout) == 0
    user = checkout / "functions/jobs/report.py"
    user.write_text("from jobs.word_count import WordCount\n")
    before = contents(checkout)
    assert new_job.main(["word-count", "--remove"], checkout) == 1
    assert contents(checkout) == before


def add_a_file_of_the_same_name(checkout: Path) -> None:
    (checkout / "web/js/renderers/word-count.js").write_text("mine")


def add_a_link_that_leads_nowhere(checkout: Path) -> None:
    (checkout / "functions/jobs/word_count.py").symlink_to("gone")


def change_the_list(checkout: Path) -> None:
    (checkout / "web/js/demo-page/actions.js").write_text("export default [];\n")


def break_another_job(checkout: Path) -> None:
    (checkout / "functions/jobs/other.py").write_text("def (\n")


def put_a_file_where_a_folder_belongs(checkout: Path) -> None:
    (checkout / "tests/unit").write_text("")


def delete_a_page(checkout: Path) -> None:
    (checkout / "web/js/renderers/index.js").unlink()


@pytest.mark.parametrize(
    "prepare",
    [
        add_a_file_of_the_same_name,
        add_a_link_that_leads_nowhere,
        change_the_list,
        break_another_job,
        put_a_file_where_a_folder_belongs,
        delete_a_page,
    ],
)
def test_a_checkout_that_does_not_fit_stays_as_it_is(checkout: Path, prepare: Callable[[Path], None]) -> None:
    prepare(checkout)
    before = contents(checkout)
    assert new_job.main(["word-count"], checkout) == 1
    assert contents(checkout) == before


def test_a_failure_between_two_files_undoes_the_first(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(checkout)
    rename, calls = Path.rename, list[Path]()

    def fails_late(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 5:
            raise OSError(28, "No space left on device", str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_late)
    assert new_job.main(["word-count"], checkout) == 1
    assert len(calls) == 5
    assert contents(checkout) == before
    assert not (checkout / "tests/unit").exists()


def test_an_interruption_waits_until_all_files_are_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    assert new_job.main(["word-count"], checkout) == 0
    assert "word-count" in {kind.kind for kind in find_kinds(checkout)}
    assert b"word-count" in (checkout / "web/js/demo-page/actions.js").read_bytes()


def test_fields_are_asked_for_until_they_fit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["Text", "text:str, lines:int?", ""])
    monkeypatch.setattr(new_job, "_asker", lambda: lambda _: next(answers))
    assert new_job.main(["word-count"], checkout) == 0
    source = (checkout / "functions/jobs/word_count.py").read_text()
    assert "    text: str\n    lines: int | None = None\n" in source
    assert "JobRunner[WordCountRequest, None]" in source
