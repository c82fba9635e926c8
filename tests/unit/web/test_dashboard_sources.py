"""What the dashboard's files may contain, and how they reach the browser."""

from __future__ import annotations

import re

from tests.unit.web.test_sources import EXTRAS, OF_KINDS, WEB, code_of, exists, imports, names, reachable

PAGE = WEB / "dashboard.html"
#: They work without a page and a network.
PURE = ("bulk-plans", "refresher", "series", "strings.de", "strings.en", "time-format", "url-state")


def test_every_reference_of_the_page_resolves_and_nothing_is_inline() -> None:
    text = PAGE.read_text()
    references = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert "js/dashboard/page.js" in references
    assert [name for name in references if name != "./" and not exists(WEB / name)] == []
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", text) == []


def test_page_takes_the_invite_first_and_loads_all_modules_at_once() -> None:
    text = PAGE.read_text()
    scripts = re.findall(r'<script type="module" src="([^"]+)"', text)
    assert scripts == ["js/sign-in/session.js", "js/dashboard/page.js"]
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)"', text)
    needed = names({path for name in (scripts[1], "js/feed/signalr.js", *EXTRAS) for path in reachable(WEB / name)})
    assert needed - set(scripts) - OF_KINDS <= set(preloaded) <= needed - set(scripts)
    assert len(preloaded) == len(set(preloaded))


def test_pure_modules_stay_pure() -> None:
    for name in PURE:
        path = WEB / "js" / "dashboard" / f"{name}.js"
        assert not re.search(r"\b(document|window|location|history|fetch)[.(]", code_of(path)), name
        assert all(target.stem in {"language", "strings", "url-state"} for target in imports(path)), name
