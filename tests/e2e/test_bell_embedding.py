"""The bell on a page of another site: one script tag, under that page's policy and its looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from scripts.local.stack import Stack, StackOptions
from scripts.local.state import State, temporary_folder
from scripts.staged_jobs import Stage
from tests.e2e.conftest import Noise
from tests.support.bell import Bell
from tests.support.client import Person

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


class Site:
    """A small site of an origin of its own, whose policy allows only what the documentation asks for."""

    def __init__(self) -> None:
        site = self
        self.app = self.hub = self.loader = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """The tests look at the browser's side."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        files = {
            "/": ("text/html", PAGE.format(app=self.app)),
            "/site.css": ("text/css", SHEET),
            "/own.js": ("text/javascript", OWN),
            "/loader.js": ("text/javascript", self.loader),
        }
        kind, text = files.get(request.path, ("text/plain", ""))
        policy = (
            f"default-src 'none'; script-src 'self' {self.app}; style-src 'self'; img-src data:; "
            f"connect-src {self.app} {self.hub} {self.hub.replace('http', 'ws', 1)}; require-trusted-types-for 'script'"
        )
        request.send_response(200 if request.path in files else 404)
        request.send_header("Content-Type", f"{kind}; charset=utf-8")
        request.send_header("Content-Security-Policy", policy)
        request.end_headers()
        request.wfile.write(text.encode())

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class OpenStack(Stack):
    """A system that lets pages of some other origins in."""

    allowed_origins = ""

    def settings_without_secrets(self) -> dict[str, str]:
        return super().settings_without_secrets() | {"ALLOWED_ORIGINS": self.allowed_origins}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def stack(site: Site) -> Iterator[Stack]:
    with temporary_folder() as folder:
        stack = OpenStack(State(folder), StackOptions(durable=False))
        stack.allowed_origins = site.origin
        try:
            stack.start()
            site.app = stack.page_url.rstrip("/")
            site.hub = stack.hub.endpoint
            yield stack
        finally:
            stack.stop()
            stack.delete_data()


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
        failed = bell.rows.first
        failed.get_by_role("button", name="Retry").click()
        # it has no files: the worker ends it again, with another error than before
        expect(failed).to_contain_text("NothingToZip")
        bell.row("Running").get_by_role("button", name="Cancel").click()
        expect(bell.row("Cancelling")).to_have_count(1)
    colours = bell.host.evaluate(
        "(bell) => [getComputedStyle(bell.shadowRoot.querySelector('.title')).color, "
        "getComputedStyle(bell.shadowRoot.querySelector('.title')).fontSize]"
    )
    assert colours == ["rgb(26, 30, 38)", "15px"], "the page's looks do not get in"
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
    site.loader = LOADER
    try:
        page = visitor(site.origin)
    finally:
        site.loader = ""
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
    try:
        page = visitor(other.origin)
        expect(page.get_by_text("Its own text")).to_be_visible()
        assert page.evaluate("customElements.get('job-bell') === undefined")
        read = "(url) => fetch(url).then((answer) => answer.status, () => 'refused')"
        assert page.evaluate(read, f"{site.app}/api/health") == "refused"
        assert urlsplit(page.url).netloc == urlsplit(other.origin).netloc
    finally:
        other.close()
