"""`scripts/rename`: a fork gets its name, title and accent in one step, or keeps all of them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from infra.project import name_in
from scripts.fork import rename, theme

ROOT = Path(__file__).resolve().parents[3]
FILES = (
    *("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "web/index.html", "web/dashboard.html"),
    *(theme.TOKENS, theme.ICON),
)
ALL = ("acme-jobs", "--title", "R&D \u201cjobs\u201d", "--accent", "#0B6B4F")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def texts(checkout: Path) -> dict[str, str]:
    return {name: (checkout / name).read_text() for name in FILES}


def keys(text: str) -> set[str]:
    return set(re.findall(r"^  ([\w-]+):\w+:", text, re.MULTILINE)) - {"azure-native"}


def test_all_is_named_in_one_step_and_again_changes_nothing(checkout: Path) -> None:
    before = texts(checkout)
    assert rename.main(ALL, checkout) == 0
    made = texts(checkout)
    assert name_in(made["Pulumi.yaml"]) == "acme-jobs"
    for stack in ("Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        assert keys(made[stack]) == {"acme-jobs"}
        assert made[stack].count("\n") == before[stack].count("\n")
    for page, begin in (("web/index.html", "<title>"), ("web/dashboard.html", "<title>Dashboard - ")):
        assert made[page].count(f"{begin}R&amp;D \u201cjobs\u201d</title>") == 1
        assert made[page].count("> R&amp;D \u201cjobs\u201d</") == 1
        assert made[page].count("\n") == before[page].count("\n")
    assert theme.colours(made[theme.TOKENS], 0)["accent"] == "#0b6b4f"
    assert [theme.weak_pairs(theme.colours(made[theme.TOKENS], scheme)) for scheme in (0, 1)] == [[], []]
    assert "#0b6b4f" in made[theme.ICON]
    assert rename.main(ALL, checkout) == 0
    assert texts(checkout) == made


def test_keys_that_an_earlier_renaming_left_are_found(checkout: Path) -> None:
    project = checkout / "Pulumi.yaml"
    project.write_text(re.sub("(?m)^name: .*$", "name: half-done # mine", project.read_text()))
    assert rename.main(["acme-jobs"], checkout) == 0
    assert re.search("(?m)^name: acme-jobs # mine$", project.read_text())
    assert keys((checkout / "Pulumi.prod.yaml").read_text()) == {"acme-jobs"}


#: Each with something that cannot be used.
REFUSED = (
    *(["Acme"], ["a b"], ["../x"], [""], ["ab"], ["a" * 41], ["acme.jobs"], ["1st"], ["\u00e4cme-jobs"], ["acme\n"]),
    *(["acme--jobs"], ["pulumi"], ["azure-native"], ["my-windows-jobs"], ["micro-soft"]),
    *(["acme", "--title", title] for title in ("", " ", "<script>", "a\nb", "x" * 61, "a\u202eb", "</title>x")),
    *(["acme", "--accent", accent] for accent in ("red", "#fff", "#ffcc00", "#ffffff", "#12345g", "#0b6b4f;}")),
)


def test_what_cannot_be_used_changes_nothing(checkout: Path) -> None:
    before = texts(checkout)
    assert [arguments for arguments in REFUSED if rename.main(arguments, checkout) != 1] == []
    assert texts(checkout) == before


def test_a_stack_that_exists_keeps_its_name(checkout: Path) -> None:
    name = name_in((checkout / "Pulumi.yaml").read_text())
    stacks = checkout / ".local/state/.pulumi/stacks" / str(name)
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("{}")
    before = texts(checkout)
    assert rename.main(["acme-jobs"], checkout) == 1
    assert texts(checkout) == before
    assert rename.main([str(name), "--title", "Acme"], checkout) == 0


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_changes_nothing(checkout: Path, name: str) -> None:
    if name in ("Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        name = "Pulumi.yaml"  # stacks may be missing
    (checkout / name).unlink()
    before = {path: path.read_text() for path in checkout.rglob("*") if path.is_file()}
    assert rename.main(ALL, checkout) == 1
    assert {path: path.read_text() for path in checkout.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("accent", ["#000000", "#7a0000", "#003300", "#4b0082", "#3f51c4", "#555555"])
def test_each_dark_accent_has_a_form_for_the_dark_scheme(accent: str) -> None:
    text = theme.with_accent((ROOT / theme.TOKENS).read_text(), accent)
    for scheme in (0, 1):
        assert theme.weak_pairs(theme.colours(text, scheme)) == []


def test_the_project_is_named_in_one_file() -> None:
    """Tests and tools take it from there; the keys of the stacks follow."""
    name = name_in((ROOT / "Pulumi.yaml").read_text())
    found = [
        str(path.relative_to(ROOT))
        for folder in ("infra", "scripts", "tests/infra")
        for path in (ROOT / folder).rglob("*.py")
        if f"{name}:" in path.read_text() or f'project="{name}"' in path.read_text()
    ]
    assert found == []
