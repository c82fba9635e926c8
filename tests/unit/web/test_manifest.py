"""`web/custom-elements.json`, from which editors and the docs know the elements, says what their modules do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.web.test_sources import EXTRAS, WEB, code_of, names, reachable
from tools.docs_and_samples import elements

ATTRIBUTE = re.compile(r"(?:getAttribute|hasAttribute)\('([\w-]+)'\)|static observedAttributes = \['([\w-]+)'\]")
#: Attributes that are read of other elements.
OTHERS = re.compile(r"^aria-")
EVENT = re.compile(r"(?:#tell\(|new CustomEvent\()'([\w-]+)'")
PART = re.compile(r"\bpart: '([\w-]+)'")
ASKED_FOR = re.compile(r"^  '?([\w-]+)'?: \(\) => import\(", re.MULTILINE)
LANGUAGE = re.compile(r"\b(job-[a-z]+)\[lang\]")


def listed(tag: str, group: str) -> set[str]:
    return {entry["name"] for entry in elements.elements()[tag].get(group, [])}


def code_for(tag: str) -> str:
    """Return the code of an element, with what it loads later."""
    paths = {*reachable(WEB / "js" / f"{tag}.js")}
    if tag == "job-bell":
        paths |= {WEB / path for path in EXTRAS}
    return "\n".join(code_of(path) for path in sorted(paths) if path.is_relative_to(WEB / "js"))


@pytest.mark.parametrize("tag", elements.PAGES)
def test_manifest_lists_what_an_element_reads_dispatches_and_exposes(tag: str) -> None:
    code = code_for(tag)
    read = {first or second for first, second in ATTRIBUTE.findall(code)} | {*ASKED_FOR.findall(code)}
    if tag in LANGUAGE.findall(code):
        read.add("lang")
    assert listed(tag, "attributes") == {name for name in read if not OTHERS.match(name)}
    assert listed(tag, "events") == {*EVENT.findall(code)}
    assert listed(tag, "cssParts") == {*PART.findall(code)}
    theme = (WEB / "css" / "tokens.css").read_text().partition("}")[0]
    assert listed(tag, "cssProperties") == {*re.findall(r"^  (--qj-[\w-]+):", theme, re.MULTILINE)}


@pytest.mark.parametrize("tag", elements.PAGES)
def test_members_and_modules_exist(tag: str) -> None:
    code = code_for(tag)
    for member in elements.elements()[tag]["members"]:
        assert re.search(rf"^  (?:get )?{member['name']}\(", code, re.MULTILINE), member["name"]
    modules = json.loads(elements.MANIFEST.read_text())["modules"]
    assert {module["path"] for module in modules} == names({*(WEB / "js").glob("job-*.js")})
    package = json.loads((WEB / "package.json").read_text())
    assert Path(WEB / package["customElements"]) == elements.MANIFEST


@pytest.mark.parametrize("tag", elements.PAGES)
def test_documentation_follows_the_manifest(tag: str) -> None:
    written = (elements.ROOT / elements.PAGES[tag][0]).read_text()
    assert f"<!-- From web/custom-elements.json: {tag} -->" in written
    assert written == elements.page(tag), "run: python -m tools.docs_and_samples.elements"
