"""What the web client's files may contain, and what they may import."""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import jobs
from queued_jobs.registry import JobRegistry

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "web"
MODULES = sorted((WEB / "js").rglob("*.js"))
SHEETS = sorted((WEB / "css").glob("*.css"))
CONFIG = WEB / "config.js"
SCRIPTS = ["js/sign-in/session.js", "js/job-bell.js", "js/demo-page/app.js"]
#: Loaded if the page asks for it by an attribute of the bell.
EXTRAS = ["js/bell/notices.js", "js/bell/tab-count.js", "js/bell/toasts.js"]
#: What browsers load: modules with all that they import, and sheets; last, what they have loaded before.
_BELL = ["js/job-bell.js", "js/feed/signalr.js"]
_DASHBOARD_SHEETS = [path.name for path in SHEETS if path.name.startswith("dashboard")]
ENTRIES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "<job-bell> on another page": (_BELL, ["tokens.css", "bell.css", "job-row.css"], []),
    "index.html with its bell": (
        [*_BELL, *EXTRAS, "js/demo-page/app.js"],
        ["tokens.css", "bell.css", "bell-extras.css", "job-row.css", "app.css"],
        [],
    ),
    "dashboard.html besides its bell": (
        ["js/dashboard/page.js"],
        [*_DASHBOARD_SHEETS, "job-output.css"],
        [*_BELL, *EXTRAS],
    ),
    "the output of jobs, loaded when the bell's panel opens": (["js/bell/row-outputs.js"], ["job-output.css"], _BELL),
    "the output of a job, loaded with the first dialog": (
        ["js/dashboard/job-log.js"],
        [],
        [*_BELL, "js/job-dashboard.js"],
    ),
    "the jobs, for a page without a bell": (["js/feed/jobs.js"], [], ["js/feed/signalr.js"]),
}
ROOM = dict.fromkeys(ENTRIES, 30 * 1024) | {
    "<job-bell> on another page": 24 * 1024,
    "dashboard.html besides its bell": 32 * 1024,
    "the output of jobs, loaded when the bell's panel opens": 6 * 1024,
    "the output of a job, loaded with the first dialog": 4 * 1024,
    "the jobs, for a page without a bell": 14 * 1024,
}
#: The views of the kinds of jobs.
VIEWS = {
    f"js/renderers/{path.name}"
    for path in (WEB / "js" / "renderers").glob("*.js")
    if path.name not in ("index.js", "registry.js") and not path.name.startswith("strings.")
}
#: What pages need not preload: a fork has as many views as it has kinds, or none.
OF_KINDS = VIEWS | {"js/renderers/strings.js", "js/renderers/strings.en.js"}
COMMENTS = re.compile(r"/\*.*?\*/|^\s*//[^\n]*$", re.DOTALL | re.MULTILINE)

#: Texts in two languages, and what chooses.
_TEXTS = {"language.js", "strings.js", "strings.en.js", "strings.de.js"}
_BASE = {"dom.js", "format.js", *_TEXTS}
#: What each folder or module of web/js may import besides itself: elements know no page, and the feed knows no element.
WINGS: dict[str, set[str]] = {
    "language.js": set(),
    "strings.en.js": {"language.js"},
    "strings.de.js": {"language.js"},
    "strings.js": _TEXTS,
    "format.js": {"strings.js"},
    "dom.js": {"format.js"},
    "api.js": set(),
    "feed": {"api.js"},
    "renderers": _BASE,
    "sign-in": {*_BASE, "api.js"},
    "output": _BASE,
    "bell": {*_BASE, "feed", "output", "renderers"},
    "dashboard": {*_BASE, "api.js", "feed", "output", "renderers"},
    "job-bell.js": {*_BASE, "bell", "feed"},
    "job-dashboard.js": {*_BASE, "bell", "dashboard", "feed"},
    "demo-page": {*_BASE, "api.js", "job-bell.js", "sign-in"},
    "dashboard/page.js": {*_BASE, "dashboard", "job-bell.js", "job-dashboard.js", "sign-in"},
}

#: They work without a page, without a network and without any other of our modules.
PURE = {
    "feed/store.js": set(),
    "feed/connection.js": set(),
    "sign-in/session.js": set(),
    "strings.en.js": {"language.js"},
    "strings.de.js": {"language.js"},
    "format.js": {"strings.js"},
    "feed/job-actions.js": {"store.js"},
    "demo-page/uploads.js": {"api.js"},
    "api.js": set(),
}

FORBIDDEN = {
    r"\.(inner|outer)HTML\b": "text from a job would become elements: use h() and text nodes",
    r"insertAdjacentHTML|createContextualFragment|DOMParser|setHTMLUnsafe|\bsrcdoc\s*=": "makes elements of a text",
    r"document\.write|\beval\(|new Function\(|setTimeout\(\s*['\"`]": "runs a text as a program",
    r"setAttribute\(\s*['\"](style|on\w+)['\"]": "the content security policy refuses it",
    r"localStorage|document\.cookie|indexedDB": "a session must end with its tab",
    r"console\.(log|info|debug)": "noise in the console of everybody",
    r"https?://(?!www\.w3\.org/)[a-z0-9.-]+\.[a-z]": "the client talks to its own server only",
}
#: Nothing of a session, but a person's choice about their own machine may stay.
CHOICES = {"web/js/bell/notices.js": "return localStorage;"}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_nothing_forbidden(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*MODULES, WEB / "index.html", *SHEETS]
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(pattern, line) and line.strip() != CHOICES.get(str(path.relative_to(ROOT)))
    ]
    assert not found, f"{FORBIDDEN[pattern]}: {found}"


def test_what_outlives_a_tab_is_on_or_off() -> None:
    stored = [line.strip() for path in CHOICES for line in (ROOT / path).read_text().splitlines() if "setItem" in line]
    assert [line.partition("setItem")[2] for line in stored] == ["(CHOICE, on ? 'on' : 'off');"]


def test_every_import_resolves() -> None:
    missing = [f"{path.name}: {target}" for path in MODULES for target in imports(path) if not exists(target)]
    assert not missing
    later = [(path, target) for path in MODULES for target in imports_later(path)]
    assert later
    assert [(path.name, target.name) for path, target in later if not exists(target)] == []


def test_wings_import_one_way() -> None:
    for path in MODULES:
        for target in [*imports(path), *imports_later(path)]:
            if target.is_relative_to(WEB / "js"):
                wing, other = wing_of(path), wing_of(target)
                assert other == wing or other in WINGS[wing], f"{path.relative_to(WEB)} imports {target.name}"


def test_no_module_is_part_of_a_circle() -> None:
    graph = {path: {*imports(path), *imports_later(path)} & {*MODULES} for path in MODULES}
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, with the circle
    with pytest.raises(CycleError):
        TopologicalSorter(graph | {WEB / "js/api.js": {WEB / "js/feed/feed.js"}}).prepare()


def test_every_reference_of_the_page_resolves() -> None:
    text = (WEB / "index.html").read_text()
    references = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert "js/demo-page/app.js" in references
    assert [name for name in references if not exists(WEB / name)] == []


def test_page_has_nothing_inline() -> None:
    text = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text) == []


def test_page_takes_the_invite_before_anything_else() -> None:
    text = (WEB / "index.html").read_text()
    assert re.findall(r'<script type="module" src="([^"]+)"', text) == SCRIPTS
    assert imports(WEB / "js" / "sign-in" / "session.js") == []


def test_page_loads_all_modules_at_once() -> None:
    """A module that is found only inside another one costs a round trip more; the bell's come first.

    Views of kinds may be left out, so that a new one is one line in `renderers/index.js`.
    """
    text = (WEB / "index.html").read_text()
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)"', text)
    bell = names(reachable(WEB / "js" / "job-bell.js"))
    later = ["js/demo-page/app.js", "js/feed/signalr.js", *EXTRAS]
    needed = bell.union(*(names(reachable(WEB / path)) for path in later))
    assert set(preloaded) <= needed - set(SCRIPTS)
    assert set(preloaded) >= needed - set(SCRIPTS) - OF_KINDS
    bells = [name for name in preloaded if name in bell]
    assert preloaded[: len(bells)] == bells


def test_pure_modules_stay_pure() -> None:
    for name, allowed in PURE.items():
        path = WEB / "js" / name
        assert {target.name for target in imports(path)} == allowed, name
        if name != "feed/connection.js":  # it also watches the page, where there is one
            assert not re.search(r"\b(document|window)\.", code_of(path)), name


def test_bell_stands_alone() -> None:
    """An embedding page gets the bell without the demo page and its way to sign in."""
    needed = names(reachable(WEB / "js" / "job-bell.js"))
    assert {"js/feed", "js/bell"} <= {path.rpartition("/")[0] for path in needed}
    assert not [path for path in needed if path.startswith(("js/demo-page/", "js/sign-in/", "js/dashboard/"))]
    assert "js/feed/signalr.js" not in needed, "the bell can be used before the hub's client is there"


def test_own_code_is_small() -> None:
    """Counted as one stream without comments, as a build step would deliver it; there is none, so more is sent.

    The views of kinds, their texts and the list of them do not count: a fork has as many as it has kinds.
    """
    report, over = [], []
    for entry, (pages, sheets, before) in ENTRIES.items():
        known = {path for page in before for path in reachable(WEB / page)}
        loaded = {path for page in pages for path in reachable(WEB / page)} - known
        own = sorted(
            path
            for path in loaded
            if path.is_relative_to(WEB / "js") and names({path}).isdisjoint({*OF_KINDS, "js/renderers/index.js"})
        )
        styles = [WEB / "css" / sheet for sheet in sheets]
        code = gzipped("".join(code_of(path) for path in own))
        looks = gzipped("".join(code_of(path) for path in styles))
        sent = sum(gzipped(path.read_text()) for path in [*own, *styles])
        report.append(
            f"{entry}: JavaScript {code:,} + CSS {looks:,} = {code + looks:,} (at most {ROOM[entry]:,}); "
            f"{len(own) + len(styles)} files, with comments {sent:,}"
        )
        if code + looks > ROOM[entry]:
            over.append(report[-1])
    sys.stdout.write("own code of each page in bytes, gzip:\n" + "\n".join(report) + "\n")
    assert over == []


def test_every_renderer_is_loaded_and_for_a_kind() -> None:
    registered = {
        kind
        for view in VIEWS
        for kind in re.findall(r"^register\(['\"]([^'\"]+)", (WEB / view).read_text(), re.MULTILINE)
    }
    # a kind without a renderer of its own is shown by the generic one
    assert registered <= {runner.kind for runner in JobRegistry.from_package(jobs)}, "a renderer for no kind"
    assert names({*imports(WEB / "js" / "renderers" / "index.js")}) == VIEWS | {"js/renderers/registry.js"}


def code_of(path: Path) -> str:
    """Return the text of a file without its comments."""
    return COMMENTS.sub("", path.read_text())


def names(paths: set[Path]) -> set[str]:
    """Return the paths as the page writes them."""
    return {str(path.relative_to(WEB)) for path in paths}


def imports(path: Path) -> list[Path]:
    """Return the modules that a module imports, as paths."""
    found = re.findall(r"^(?:import|export)\b[^'\";]*?from '([^']+)'|^import '([^']+)'", code_of(path), re.MULTILINE)
    return [(path.parent / (first or second)).resolve() for first, second in found]


def imports_later(path: Path) -> list[Path]:
    """Return the modules that a module imports when it needs them, as paths."""
    return [(path.parent / name).resolve() for name in re.findall(r"import\('([^']+\.js)'\)", code_of(path))]


def wing_of(path: Path) -> str:
    """Return the entry of `WINGS` that a module belongs to."""
    name = str(path.relative_to(WEB / "js"))
    return name if name in WINGS else name.partition("/")[0]


def reachable(path: Path) -> set[Path]:
    """Return a module and all that it imports, directly or not."""
    found: set[Path] = set()

    def walk(path: Path) -> Iterator[Path]:
        yield path
        if path.is_relative_to(WEB / "js"):
            for target in imports(path):
                if target not in found:
                    found.add(target)
                    yield from walk(target)

    found.update(walk(path))
    return found


def exists(path: Path) -> bool:
    return path == CONFIG or path.is_file()


def gzipped(text: str) -> int:
    """Return the size in bytes after compression."""
    return len(gzip.compress(text.encode(), 9, mtime=0))
