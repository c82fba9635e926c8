"""A fork is made from an earlier state of the template, gets a job, and is updated to the present state."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: What the questions, the renaming and a new job look at; each file costs copier some hundredths of a second.
PARTS = (
    *(".", "Pulumi", "README.md", "copier.yml", "pyproject.toml"),
    *("docs/how-to/", "functions/jobs/", "infra/project.py", "queued_jobs/", "scripts/"),
    *("web/css/", "web/dashboard.html", "web/favicon.svg", "web/index.html", "web/js/demo-page/", "web/js/renderers/"),
    *("tests/e2e/test_samples.py", "tests/integration/functions/jobs/", "tests/unit/jobs/"),
)
LEFT_OUT = ("queued_jobs/sql/",)
#: Files in which a fork has its own lines, which the present state changes in another line: the first one.
CHANGED = (
    *("Pulumi.yaml", "Pulumi.dev.yaml", "README.md", "web/css/tokens.css"),
    *("web/js/demo-page/actions.js", "web/js/renderers/index.js"),
)
#: A file that the present state no longer has, and one that it has in addition.
GONE, NEW = "queued_jobs/gone.py", "docs/how-to/update-a-fork.md"
ANSWERS = {"name": "update-trial", "title": "R&D jobs", "accent": "#0b6b5f", "samples": "false"}
#: Files of the samples, which the answers above remove.
SAMPLES = set(re.findall(r"functions/jobs/\w+\.py", (ROOT / "copier.yml").read_text()))
OWN = "functions/jobs/update_trial.py"


def run(folder: Path, *command: str) -> str:
    identity = {
        f"GIT_{role}_{part}": "fork@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
    }
    finished = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | identity, timeout=300
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def copier(folder: Path, *arguments: str) -> None:
    run(folder, sys.executable, "-m", "copier", *arguments, "--trust", "--defaults", "--quiet")


def commit(folder: Path, *, tag: str | None = None) -> None:
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "As it is")
    if tag is not None:
        run(folder, "git", "tag", tag)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two releases: 1.0.0, and 2.0.0, which is this checkout."""
    folder = tmp_path_factory.mktemp("template")
    for name in run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file() and name.startswith(PARTS) and not name.startswith(LEFT_OUT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    present = {name: (folder / name).read_text() for name in (*CHANGED, NEW)}
    for name in CHANGED:
        comment = {".css": "/* {} */", ".js": "// {}", ".md": "<!-- {} -->", ".yaml": "# {}"}[Path(name).suffix]
        (folder / name).write_text(comment.format("As it was") + "\n" + present[name])
    (folder / GONE).write_text("")
    (folder / NEW).unlink()
    commit(folder, tag="1.0.0")
    for name, text in present.items():
        (folder / name).write_text(text)
    (folder / GONE).unlink()
    commit(folder, tag="2.0.0")
    return folder


def make_fork(template: Path, folder: Path, release: str) -> Path:
    """Make a fork of a release, with a job of its own and a line of its own on the page."""
    answers = [argument for name, value in ANSWERS.items() for argument in ("--data", f"{name}={value}")]
    copier(folder.parent, "copy", *answers, "--vcs-ref", release, str(template), str(folder))
    commit(folder)
    add = ("update-trial", "--request", "text:str", "--result", "words:int")
    run(folder, sys.executable, "-m", "scripts.fork.new_job", *add)
    page = folder / "web" / "index.html"
    page.write_text(page.read_text().replace("<main", "<!-- ours -->\n<main", 1))
    commit(folder)
    return folder


def files(folder: Path) -> dict[str, str]:
    listed = run(folder, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    found = {name: folder / name for name in listed if (folder / name).exists()}
    return {name: path.read_text(errors="replace") for name, path in found.items() if path.is_file()}


def test_an_updated_fork_is_what_a_fork_of_the_present_state_would_be(template: Path, tmp_path: Path) -> None:
    before = make_fork(template, tmp_path / "fork", "1.0.0")
    assert GONE in files(before)
    assert NEW not in files(before)
    copier(before, "update", "--vcs-ref", "2.0.0")
    updated, wanted = files(before), files(make_fork(template, tmp_path / "new", "2.0.0"))
    assert {name for name in {*updated, *wanted} if updated.get(name) != wanted.get(name)} == set()
    assert "name: update-trial" in updated["Pulumi.yaml"]
    assert "<title>R&amp;D jobs</title>" in updated["web/index.html"]
    assert "#0b6b5f" in updated["web/css/tokens.css"]
    assert {OWN, "functions/jobs/probe.py"} <= updated.keys()
    assert SAMPLES.isdisjoint(updated)
    run(before, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/jobs/test_update_trial.py")


def test_a_fork_that_only_has_a_name_differs_in_nothing_else(template: Path, tmp_path: Path) -> None:
    copier(tmp_path, "copy", "--data", "name=update-trial", str(template), str(tmp_path / "fork"))
    run(tmp_path / "fork", "git", "init", "--quiet")
    made, was = files(tmp_path / "fork"), files(template)
    changed = {name for name in made.keys() & was.keys() if made[name] != was[name]}
    assert changed == {"Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "web/index.html", "web/dashboard.html"}
    assert made.keys() ^ was.keys() == {"copier.yml", ".copier-answers.yml", ".copier-answers.yml.jinja"}


def test_an_answer_that_cannot_be_used_leaves_no_fork(template: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        copier(tmp_path, "copy", "--data", "name=a; touch b", str(template), str(tmp_path / "fork"))
    assert list(tmp_path.iterdir()) == []
