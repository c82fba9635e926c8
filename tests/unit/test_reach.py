"""What a change can touch: over imports, names of files in texts, fixtures and places."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.reach import LOOK_AT_EVERYTHING, TOUCHES_NOTHING, NoMainBranch, Tree, changed_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree.of_checkout(ROOT)


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("tests/unit/test_docs.py", "tests/unit/test_docs.py"),
        ("queued_jobs/retry.py", "tests/unit/queued_jobs/test_outcomes.py"),
        ("queued_jobs/sql/statements/claim.sql", "tests/contract/test_attempts.py"),
        ("queued_jobs/sql/migrations/0001_initial.sql", "tests/integration/functions/test_jobs_api.py"),
        ("functions/jobs/probe.py", "tests/integration/test_trial.py"),  # a kind is found by lying there
        ("tools/test_app/jobs/packer.py", "tests/e2e/test_story.py"),
        ("tools/test_app/web/js/renderers/packer.js", "tests/e2e/test_story.py"),
        ("functions/api/uploads.py", "tests/integration/security/test_uploads.py"),  # served by a process
        ("functions/host.json", "tests/infra/test_alerts.py"),
        ("web/js/job-bell.js", "tests/e2e/test_bell_use.py"),
        ("web/js/feed/feed.js", "tests/unit/web/test_javascript.py"),
        ("web/index.html", "tests/integration/test_bundle.py"),
        ("docs/reference/settings.md", "tests/unit/test_docs.py"),
        ("docs/why/threat-model.md", "tests/unit/test_threat_model.py"),
        ("README.md", "tests/unit/test_docs.py"),
        ("infra/alerts.py", "tests/infra/test_program.py"),  # by a process
        ("Pulumi.yaml", "tests/infra/test_rehearse.py"),
        (".github/workflows/test.yml", "tests/infra/test_workflows.py"),
        ("scripts/dev", "tests/integration/local/test_once.py"),
        ("tools/local_stack/die_with_parent.py", "tests/integration/local/test_process.py"),
        ("tools/signalr_emulator/rest.py", "tests/integration/local/signalr/test_rest.py"),
        ("tools/functions_host/timers.py", "tests/faults/test_parts_go_away.py"),
        ("tools/rehearsal/lifecycle.py", "tests/infra/test_rehearse.py"),
        ("tests/support/axe.py", "tests/e2e/test_bell_looks.py"),
        ("tests/e2e/conftest.py", "tests/e2e/test_bell_list.py"),
        ("tests/e2e/panel.aria.yml", "tests/e2e/test_bell_use.py"),
        ("tests/unit/web/feed.test.mjs", "tests/unit/web/test_javascript.py"),
        ("tests/model/moves/timer.py", "tests/model/test_mutants.py"),
        ("tests/support/hub.py", "tests/integration/queued_jobs/test_hub.py"),  # over a fixture of tests/conftest.py
    ],
)
def test_a_change_reaches(tree: Tree, changed: str, test: str) -> None:
    assert (ROOT / changed).exists()
    reach = tree.reach([changed])
    assert reach.reason is None
    assert test in reach.tests


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("docs/reference/settings.md", "tests/e2e/test_bell_use.py"),
        ("web/js/job-bell.js", "tests/unit/queued_jobs/test_sealed.py"),
        ("infra/alerts.py", "tests/contract/test_add.py"),
        ("tools/rehearsal/lifecycle.py", "tests/e2e/test_bell_use.py"),
        ("tests/unit/test_docs.py", "tests/unit/test_fuzz.py"),
    ],
)
def test_a_change_does_not_reach(tree: Tree, changed: str, test: str) -> None:
    reach = tree.reach([changed])
    assert test in reach.skipped
    assert not set(reach.tests) & set(reach.skipped)


@pytest.mark.parametrize("changed", ["pyproject.toml", "tests/conftest.py", "tests/gone.py", ".ci/run"])
def test_what_may_touch_anything_runs_everything_and_says_why(tree: Tree, changed: str) -> None:
    reach = tree.reach([changed, "README.md"])
    assert reach.reason is not None
    assert changed in reach.reason
    assert reach.tests == tree.tests
    assert not reach.skipped


def test_what_touches_nothing_is_read_by_nothing(tree: Tree) -> None:
    for name in TOUCHES_NOTHING:
        assert tree.reach([name]).tests == sorted(LOOK_AT_EVERYTHING)
        assert not tree.reaching(name), name


def test_a_change_is_what_differs_from_main(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--initial-branch", "trunk")
    for name in ("same", "edited", "moved"):
        (tmp_path / name).write_text(f"{name}\n")
    git("add", ".")
    git("commit", "-m", "one")
    with pytest.raises(NoMainBranch):
        changed_files(tmp_path)
    git("branch", "main")
    assert changed_files(tmp_path) == []
    git("mv", "moved", "elsewhere")
    git("commit", "-m", "two")
    (tmp_path / "edited").write_text("other\n")
    (tmp_path / "new").touch()
    assert changed_files(tmp_path) == ["edited", "elsewhere", "moved", "new"]
