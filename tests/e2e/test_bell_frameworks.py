"""The bell in pages made with a framework, by the components that the documentation shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Page, Request, WebSocket, expect

from api.sign_in.invite import InviteAuthenticator
from settings import InviteSettings
from tests.e2e.conftest import Noise
from tests.support.bell import Bell, wait_on
from tests.support.client import Person
from tests.support.hub import control
from tests.support.site import NONCE, Site, stack_for
from tests.support.waiting import wait_until
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.node import find_node
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

HERE = Path(__file__).parent / "frameworks"
GUIDE = Path(__file__).resolve().parents[2] / "docs/how-to/embed-the-bell.md"
EXAMPLE = re.compile(
    r"^```(?:jsx|vue|js|html)\n(?:// |<!-- )(?P<name>\S+\.\w+)(?: -->)?\n(?P<code>.*?)^```$", re.M | re.S
)
PACKAGES = Path(__file__).resolve().parents[2] / "tools/local_stack/node_modules"
#: Libraries that put HTML of the server into pages.
LIBRARIES = {"htmx": "htmx.org/dist/htmx.min.js", "turbo": "@hotwired/turbo/dist/turbo.es2017-umd.js"}

PAGE = """<!doctype html>
<html lang="en"><title>A page of a framework</title><link rel="icon" href="data:,">
<main id="app"></main>
{scripts}
</html>
"""
SCRIPT = '<script type="module" src="{}"></script>\n'
#: A page that a server makes, with links to another one and to a part of it.
SERVED = """<!doctype html>
<html lang="en">
<head>
<title>{title}</title><link rel="icon" href="data:,"><meta name="csp-nonce" content="{nonce}">
<script src="/{library}.js" defer></script>
<script type="module" src="{app}/js/job-bell.js"></script>
<script type="module" src="/bells.js"></script>
</head>
<body hx-boost:inherited="true">
{bell}
<h1>Page {title}</h1>
<a href="/{library}-{other}.html">Page {other}</a>
<a href="/part.html" hx-get="/part.html" hx-target="#part" hx-push-url="false" data-turbo-frame="part">More</a>
<turbo-frame id="part"></turbo-frame>
</body>
</html>
"""
PART = '<turbo-frame id="part"><p>A part</p><job-bell api="{app}/api"></job-bell></turbo-frame>'
SESSION = "export const getToken = () => globalThis.token;"
RENDERS = 20
#: In milliseconds: longer than an element waits for its function.
SILENT_FOR = 4_000

#: Renders the same again and again, each time in a task of its own and with a function of its own.
RENDER_AGAIN = """async ([api, token, times]) => {
    const functions = new Set();
    for (let time = 0; time < times; time += 1) {
        await show({ key: 'a', api, user: { token } });
        functions.add(document.querySelector('job-bell').getToken);
        await new Promise((resolve) => setTimeout(resolve));
    }
    return functions.size;
}"""


class Traffic:
    """What a page asks of the system."""

    def __init__(self, page: Page) -> None:
        self.negotiations = 0
        self.sockets = 0
        self.reads = 0
        page.on("request", self._hear)
        page.on("websocket", self._hear_socket)

    def _hear(self, request: Request) -> None:
        if request.method == "OPTIONS":
            return
        self.negotiations += "/api/negotiate" in request.url
        self.reads += "/api/jobs/mine" in request.url

    def _hear_socket(self, _socket: WebSocket) -> None:
        self.sockets += 1

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.negotiations, self.sockets, self.reads


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def stack(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("frameworks")
    examples = {found["name"]: found["code"] for found in EXAMPLE.finditer(GUIDE.read_text())}
    components = {"Bell.jsx", "BellByRef.jsx", "Bell.vue"}
    assert set(examples) == {*components, "my-page.js", "bells.js", "htmx.html", "turbo.html"}
    for name in components:
        (folder / name).write_text(examples[name])
    with stack_for(site) as stack:
        bell = SCRIPT.format(f"{site.app}/js/job-bell.js")
        for entry in ("react.jsx", "vue.js"):
            name = entry.partition(".")[0]
            (folder / entry).write_text((HERE / entry).read_text())
            command = [find_node(), str(HERE / "bundle.mjs"), str(folder), entry, f"{name}.bundle.js"]
            subprocess.run(command, check=True, timeout=120)
            site.files[f"/{name}.js"] = (folder / f"{name}.bundle.js").read_text()
            app = SCRIPT.format(f"/{name}.js")
            site.files[f"/{name}.html"] = PAGE.format(scripts=bell + app)
            site.files[f"/{name}-alone.html"] = PAGE.format(scripts=app)
        site.files |= {
            "/bells.js": examples["bells.js"],
            "/session.js": SESSION,
            "/part.html": PART.format(app=site.app),
        }
        for name, path in LIBRARIES.items():
            site.files[f"/{name}.js"] = (PACKAGES / path).read_text()
            bell = examples[f"{name}.html"].replace("https://jobs.example", site.app)
            for title, other in (("one", "two"), ("two", "one")):
                path = f"/{name}-{title}.html"
                site.files[path] = SERVED.format(
                    title=title, other=other, library=name, app=site.app, bell=bell, nonce=NONCE
                )
                site.with_library.add(path)
        yield stack


@pytest.fixture(params=["react", "vue"])
def page(request: pytest.FixtureRequest, visitor: Visitor, site: Site, stack: Stack) -> Page:
    page = visitor("about:blank")
    page.goto(f"{site.origin}/{request.param}.html")
    return page


@pytest.fixture
def bob(stack: Stack) -> Iterator[Person]:
    with Person(stack.page_url, stack.invite) as person:
        yield person


def show(page: Page, site: Site, *bells: dict[str, Any]) -> None:
    page.evaluate("(bells) => show(...bells)", [{"key": "a", "api": f"{site.app}/api", **bell} for bell in bells])


def test_rendering_again_costs_nothing(page: Page, site: Site, stage: Stage, ann: Person, noise: Noise) -> None:
    traffic = Traffic(page)
    options = [f"{site.app}/api", ann.token, RENDERS]
    assert page.evaluate(RENDER_AGAIN, options) == RENDERS, "each time another function"
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    # the list is read at once, and compared once more when pushes arrive: what happened in between
    wait_on(page, lambda: traffic.counts == (1, 1, 2), "the list is read twice")
    stage.put(ann.user_id, "running")
    expect(bell.rows).to_contain_text("Running")
    assert page.evaluate(RENDER_AGAIN, options) == RENDERS
    stage.put(ann.user_id, "failed")
    expect(bell.rows).to_have_count(2)
    assert traffic.counts == (1, 1, 2)
    assert noise.heard == []


def test_a_renewed_token_of_the_same_person_goes_on(
    page: Page, site: Site, stack: Stack, stage: Stage, ann: Person, noise: Noise
) -> None:
    traffic = Traffic(page)
    show(page, site, {"user": {"token": ann.token}})
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    bell.settle()
    before = traffic.counts
    renewed = renewed_token(stack, ann.token)
    assert renewed != ann.token
    show(page, site, {"user": {"token": renewed}})
    with page.expect_request("**/api/jobs/*/retry") as retrying:
        stage.put(ann.user_id, "failed")
        bell.rows.get_by_role("button", name="Retry").click()
    assert retrying.value.headers["authorization"] == f"Bearer {renewed}"
    assert traffic.counts == before


def renewed_token(stack: Stack, token: str) -> str:
    """Return another token of the same person."""
    names = {"INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET"}
    secrets = {name.lower(): value for name, value in stack.settings().items() if name in names}
    key = InviteAuthenticator(InviteSettings(**secrets))._key
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "jti": "another"}, key, algorithm="HS256")


def test_somebody_else_sees_nothing_of_the_one_before(
    page: Page, site: Site, stage: Stage, ann: Person, bob: Person, noise: Noise
) -> None:
    noise.expect("ERR_FAILED")
    stage.put(ann.user_id, "running")
    show(page, site, {"user": {"token": ann.token}})
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    expect(bell.rows).to_have_count(1)
    page.route("**/api/jobs/mine?*", lambda route: route.abort())
    show(page, site, {"user": {"token": bob.token}})
    expect(bell.rows).to_have_count(0)
    bell.expect_name("Background jobs")
    page.unroute("**/api/jobs/mine?*")
    stage.put(bob.user_id, "failed")
    bell.expect_live()
    expect(bell.rows).to_contain_text("Failed")
    stage.put(ann.user_id, "running")
    stage.put(bob.user_id, "succeeded")
    expect(bell.rows).to_have_count(2)
    expect(bell.row("Running")).to_have_count(0)
    show(page, site, {"user": None})
    expect(bell.connection).to_have_text("Not signed in")
    expect(bell.rows).to_have_count(0)


def sockets_of(stack: Stack, user_id: str) -> int:
    listed = control(stack.hub, "connections", method="GET")["connections"]
    return sum(each["user"] == user_id for each in listed)


def test_a_bell_that_moves_or_takes_the_place_of_another_keeps_the_connection(
    page: Page, site: Site, stack: Stack, stage: Stage, ann: Person, noise: Noise
) -> None:
    traffic = Traffic(page)
    user = {"token": ann.token}
    show(page, site, {"key": "a", "user": user}, {"key": "b", "user": user})
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    bell.settle()
    bell.close()
    before = traffic.counts
    show(page, site, {"key": "b", "user": user}, {"key": "a", "user": user})
    show(page, site, {"key": "c", "user": user})
    page.evaluate(
        """() => {
            const bell = document.querySelector('job-bell');
            const places = ['header', 'footer'].map((name) => document.body.appendChild(document.createElement(name)));
            for (let time = 0; time < 20; time += 1) places[time % 2].append(bell);
            places[0].moveBefore?.(bell, null);
        }"""
    )
    bell.open()
    stage.put(ann.user_id, "failed")
    expect(bell.rows).to_contain_text("Failed")
    bell.expect_live()
    assert traffic.counts == before
    page.evaluate("document.querySelector('job-bell').remove()")
    wait_until(lambda: sockets_of(stack, ann.user_id) == 0, "the last bell has taken its connection along")


def alone(visitor: Visitor, site: Site, framework: str) -> Page:
    """Open a page whose framework renders before anybody has defined the element."""
    page = visitor("about:blank")
    page.goto(f"{site.origin}/{framework}-alone.html")
    return page


def define(page: Page, site: Site, query: str = "") -> None:
    page.evaluate("async (url) => { await import(url); }", f"{site.app}/js/job-bell.js{query}")


def test_a_function_that_never_came_is_told_once(visitor: Visitor, site: Site, ann: Person, noise: Noise) -> None:
    """React leaves it out where the element is not defined yet."""
    noise.expect("job-bell has no getToken")
    page = alone(visitor, site, "react")
    show(page, site, {"user": {"token": ann.token}})
    define(page, site)
    bell = Bell(page)
    bell.open()
    expect(bell.connection).to_have_text("Not signed in")
    wait_on(page, lambda: len(noise.heard) == 1, "the console says why")
    page.wait_for_timeout(SILENT_FOR)
    assert len(noise.heard) == 1
    show(page, site, {"user": {"token": ann.token}})
    bell.expect_live()


@pytest.mark.parametrize(("framework", "by_ref"), [("react", True), ("vue", False)])
def test_a_function_may_come_before_the_element_is_defined(
    visitor: Visitor, site: Site, ann: Person, noise: Noise, framework: str, by_ref: bool
) -> None:
    page = alone(visitor, site, framework)
    show(page, site, {"user": {"token": ann.token}, "byRef": by_ref})
    define(page, site)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    page.wait_for_timeout(SILENT_FOR)
    assert noise.heard == []


def test_nobody_is_no_reason_for_a_warning(visitor: Visitor, site: Site, stack: Stack, noise: Noise) -> None:
    page = visitor(f"{site.origin}/react.html")
    show(page, site, {"user": None})
    bell = Bell(page)
    bell.open()
    expect(bell.connection).to_have_text("Not signed in")
    page.wait_for_timeout(SILENT_FOR)
    assert noise.heard == []


def test_the_module_may_come_again_by_another_address(
    visitor: Visitor, site: Site, stage: Stage, ann: Person, noise: Noise
) -> None:
    page = visitor(f"{site.origin}/react.html")
    for query in ("?v=2", "?v=3"):
        define(page, site, query)
    page.evaluate(
        "async (url) => { await import(url); await import(url + '?v=2'); }", f"{site.app}/js/job-dashboard.js"
    )
    show(page, site, {"user": {"token": ann.token}})
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    stage.put(ann.user_id, "running")
    expect(bell.rows).to_have_count(1)
    assert noise.heard == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_pages_and_parts_from_a_server_share_one_connection(
    visitor: Visitor, site: Site, stage: Stage, ann: Person, noise: Noise, library: str
) -> None:
    page = visitor("about:blank")
    page.add_init_script(f"globalThis.token = {ann.token!r}")
    traffic = Traffic(page)
    page.goto(f"{site.origin}/{library}-one.html")
    page.evaluate("globalThis.first = document.querySelector('job-bell')")
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    bell.settle()
    bell.close()
    before = traffic.counts
    for title in ("two", "one"):
        page.get_by_role("link", name=f"Page {title}").click()
        expect(page.get_by_role("heading", name=f"Page {title}")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Page two")).to_be_visible()
    assert page.evaluate("first.isConnected"), "it is the same element"
    page.get_by_role("link", name="More").click()
    expect(page.get_by_text("A part")).to_be_visible()
    stage.put(ann.user_id, "failed")
    for number in range(2):
        name = page.locator("job-bell").nth(number).get_by_role("button", name="Background jobs")
        expect(name).to_have_accessible_name("Background jobs, 1 new")
    bell.open()
    bell.expect_live()
    expect(bell.rows).to_contain_text("Failed")
    assert traffic.counts == before
    assert noise.heard == []
