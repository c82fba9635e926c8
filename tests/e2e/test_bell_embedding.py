"""The bell on a page of another site: one script tag, under that page's policy and its looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.support.bell import Bell
from tests.support.client import Person
from tests.support.site import Site, stack_for
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.app_servers import ROOT
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

PAGE = """<!doctype html>
<html lang="en"><title>Another site</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/site.css">
<script src="/loader.js"></script>
<main><h1>Another site</h1><p>Its own text</p><job-bell api="{app}/api"></job-bell></main>
<script type="module" src="{app}/js/job-bell.js"></script>
<script type="module" src="/own.js"></script></html>
"""
SHEET = """* { all: unset; color: red !important; font-size: 40px !important; }
head, script { display: none; }
main { display: block; overflow: hidden; height: 90px; padding: 20px; transform: translate(0); }
button, ul, li { display: none !important; }
"""
#: What a page with a module loader of its own, names of CommonJS and another version of the hub's client has.
LOADER = """var define = function () { globalThis.swallowed = true; };
define.amd = {};
var module = { exports: {} }, exports = module.exports, signalR = 'own';
"""
OWN = "document.querySelector('job-bell').getToken = async () => globalThis.token ?? null;"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def stack(site: Site) -> Iterator[Stack]:
    with stack_for(site) as stack:
        put_files(site)
        yield stack


def put_files(site: Site) -> None:
    site.files |= {
        "/index.html": PAGE.format(app=site.app),
        "/site.css": SHEET,
        "/own.js": OWN,
        "/loader.js": "",
    }


def test_one_script_tag_on_a_foreign_page(
    stack: Stack, stage: Stage, visitor: Visitor, site: Site, noise: Noise
) -> None:
    page = visitor(site.origin)
    bell = Bell(page)
    expect(bell.button).to_be_visible()
    bell.open()
    expect(bell.connection).to_have_text("Not signed in")
    page.keyboard.press("Escape")
    with Person(stack.page_url, stack.invite) as person:
        page.evaluate("(token) => { globalThis.token = token; }", person.token)
        page.evaluate("document.querySelector('job-bell').getToken = async () => token")
        bell.open()
        bell.expect_live()
        stage.put(person.user_id, "running", progress=0.5)
        expect(bell.rows).to_contain_text("Running")
        stage.put(person.user_id, "failed")
        bell.row("Failed").get_by_role("button", name="Retry").click()
        # it has no files: the worker ends it again, with a different error
        expect(bell.row("Failed")).to_contain_text("NothingToZip")
        bell.row("Running").get_by_role("button", name="Cancel").click()
        expect(bell.row("Cancelling")).to_have_count(1)
    (token,) = re.findall(r"--qj-text: ([^;]+);", (ROOT / "web/css/tokens.css").read_text())
    colour, expected, size = bell.host.evaluate(
        """(bell, token) => {
          const title = bell.shadowRoot.querySelector('.title');
          const probe = bell.shadowRoot.appendChild(document.createElement('i'));
          probe.style.color = token;
          const seen = [title, probe].map((element) => getComputedStyle(element).color);
          probe.remove();
          return [...seen, getComputedStyle(title).fontSize];
        }""",
        token,
    )
    assert (colour, size) == (expected, "15px"), "the page's looks do not get in"
    box = bell.panel.bounding_box()
    assert box is not None
    assert box["height"] > 100, "no ancestor cuts the panel off"
    globals_left = page.evaluate("Object.keys(globalThis).filter((name) => /signalr|qj|job/i.test(name))")
    assert globals_left == ["signalR"]
    bell.picture("embedded")
    assert noise.heard == []


def test_a_page_keeps_its_globals_and_leaves_the_bell_its_own(
    stack: Stack, stage: Stage, visitor: Visitor, site: Site, noise: Noise
) -> None:
    site.files["/loader.js"] = LOADER
    try:
        page = visitor(site.origin)
    finally:
        site.files["/loader.js"] = ""
    bell = Bell(page)
    with Person(stack.page_url, stack.invite) as person:
        page.evaluate("(token) => { document.querySelector('job-bell').getToken = () => token; }", person.token)
        bell.open()
        bell.expect_live()
        stage.put(person.user_id, "running")
        expect(bell.rows).to_have_count(1)
        assert page.evaluate("[typeof define, module.exports === exports, signalR, globalThis.swallowed ?? null]") == [
            "function",
            True,
            "own",
            None,
        ]
        page.evaluate("document.querySelector('job-bell').getToken = null")
        expect(bell.connection).to_have_text("Not signed in")
        expect(bell.rows).to_have_count(0)
        bell.expect_name("Background jobs")
    assert noise.heard == []


def test_a_page_of_an_origin_that_is_not_listed_gets_nothing(
    stack: Stack, visitor: Visitor, site: Site, noise: Noise
) -> None:
    noise.expect("blocked by CORS policy|ERR_FAILED")
    other = Site()
    other.app, other.hub = site.app, site.hub
    put_files(other)
    try:
        page = visitor(other.origin)
        expect(page.get_by_text("Its own text")).to_be_visible()
        assert page.evaluate("customElements.get('job-bell') === undefined")
        read = "(url) => fetch(url).then((answer) => answer.status, () => 'refused')"
        assert page.evaluate(read, f"{site.app}/api/health") == "refused"
        assert urlsplit(page.url).netloc == urlsplit(other.origin).netloc
    finally:
        other.close()
