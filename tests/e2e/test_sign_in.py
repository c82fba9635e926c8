"""Signing in at a real OpenID provider: with code and PKCE, renewed silently, ended everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Noise
from tests.support.bell import picture, wait_on
from tests.support.waiting import wait_until
from tools.local_stack import ports
from tools.local_stack.app_servers import HostServer
from tools.local_stack.node import find_node
from tools.local_stack.process import Command
from tools.local_stack.server import Server
from tools.local_stack.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tools" / "local_stack" / "node_modules"
AUDIENCE = "https://api.example"
#: How long an access token lives: long enough for a slow machine to use it, short enough to wait for its end.
LIFE = 20
SECONDS = 1_000.0

Visitor = Callable[..., Page]


class Provider(Server):
    """The certified provider of npm. Each start makes new keys."""

    def __init__(self, page: str) -> None:
        super().__init__("provider", ports_needed=1)
        self._page = page

    @property
    def url(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[0]}"

    def _command(self) -> Command:
        script = str(Path(__file__).with_name("provider.mjs"))
        arguments = [str(find_node()), script, str(MODULES), str(self.ports[0]), self._page, AUDIENCE, str(LIFE)]
        return Command(arguments=arguments, environment=os.environ, folder=ROOT)

    def _is_ready(self) -> bool:
        return self.exit_code is None and ports.is_listening(self.ports[0])

    def control(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/control/{path}", timeout=30) as answer:  # noqa: S310
            return json.load(answer)


@dataclass
class Site:
    provider: Provider
    host: HostServer
    #: Monotonic seconds: when the API had read the provider's keys.
    keys_read_at: float

    @property
    def page_url(self) -> str:
        return self.host.page_url


@pytest.fixture(scope="module")
def site(stack: Stack) -> Iterator[Site]:
    if not (MODULES / "oidc-provider").is_dir():
        subprocess.run([str(find_node()), "--version"], check=True)
        pytest.fail("oidc-provider is not installed: run npm ci in tools/local_stack")
    settings: dict[str, str] = {}
    host = HostServer(lambda: {**stack.settings(), **settings}, app=stack.app)
    provider = Provider(host.page_url)
    settings.update(
        AUTH_MODE="oidc",
        OIDC_ISSUER=provider.url,
        OIDC_AUDIENCE=AUDIENCE,
        OIDC_CLIENT_ID="page",
        OIDC_SCOPE="openid profile",
    )
    try:
        provider.start()
        host.start()
        httpx.get(host.page_url, trust_env=False)  # a page names the provider's address, so its keys are read now
        yield Site(provider, host, keys_read_at=time.monotonic())
    finally:
        host.stop()
        provider.stop()


@pytest.fixture
def arrive(site: Site, visitor: Visitor, noise: Noise) -> Visitor:
    """Open the page as somebody new. What the provider's pages want from elsewhere, such as fonts, they do not get."""
    noise.expect("ERR_FAILED")

    def open_page(path: str = "") -> Page:
        page = visitor("about:blank")
        ours = (f"http://{ports.LOOPBACK}:", f"http://localhost:{site.provider.ports[0]}/token")
        page.context.route(lambda url: not url.startswith(ours), lambda route: route.abort())
        page.goto(f"{site.page_url}{path}")
        return page

    return open_page


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#user")).to_contain_text(name)


def remember_tokens(page: Page) -> list[str]:
    """Keep every bearer token that the page sends."""
    tokens: list[str] = []
    page.on(
        "request",
        lambda request: (
            tokens.append(request.headers["authorization"].removeprefix("Bearer "))
            if "authorization" in request.headers and "/api/jobs" in request.url
            else None
        ),
    )
    return tokens


def test_in_and_out(site: Site, arrive: Visitor, visitor: Visitor) -> None:
    addresses: list[str] = []
    page = arrive()
    page.on("request", lambda request: addresses.append(request.url))
    tokens = remember_tokens(page)
    expect(page.get_by_text("Sign in to see your jobs")).to_be_visible()
    picture(page, "oidc-needed")
    sign_in(page, "ann")
    expect(page).to_have_url(site.page_url)
    page.get_by_role("button", name="Use sample files").click()
    page.get_by_role("button", name="Zip ").click()
    bell = page.get_by_role("button", name="Background jobs")
    expect(bell).to_have_accessible_name("Background jobs, 1 new")
    picture(page, "oidc-signed-in")
    stored = page.evaluate("JSON.stringify(sessionStorage) + JSON.stringify(localStorage) + document.cookie")
    assert tokens
    assert not any(token in stored for token in tokens), "the access token is kept in memory only"
    own = [address for address in addresses if address.startswith(site.page_url)]
    assert not any(token in address for token in tokens for address in own)
    page.reload()
    expect(page.locator("#user")).to_contain_text("ann")

    second = visitor(site.page_url, like=page)
    second.get_by_role("button", name="Sign in").click()  # the provider remembers who this is
    expect(second.locator("#user")).to_contain_text("ann")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(page.get_by_text("Sign in to see your jobs")).to_be_visible()
    expect(second.get_by_text("Sign in to see your jobs")).to_be_visible()
    assert "ann" not in page.evaluate("JSON.stringify(sessionStorage)")

    sign_in(page, "bob")
    page.get_by_role("button", name="Background jobs").click()
    expect(page.get_by_text("No jobs")).to_be_visible()
    assert "ann" not in page.locator("body").inner_text()


def test_one_gets_back_to_the_page_where_one_began(site: Site, arrive: Visitor) -> None:
    addresses: list[str] = []
    page = arrive("dashboard.html?view=queues&error=TypeError")
    page.on("framenavigated", lambda frame: addresses.append(frame.url))
    page.get_by_role("button", name="Sign in").wait_for()
    site.provider.control("roles?who=fay&role=viewer")
    sign_in(page, "fay")
    expect(page).to_have_url(f"{site.page_url}dashboard.html?view=queues&error=TypeError")
    assert not any("code=" in address for address in addresses if "dashboard" in address)
    assert "code=" not in page.evaluate("JSON.stringify(sessionStorage)")
    page.reload()
    expect(page.locator("#user")).to_contain_text("fay")
    with page.expect_request(lambda request: request.url.endswith("/token")) as renewed:
        page.reload()
    assert renewed.value.url.startswith("http://localhost:"), "which is not the issuer's host"


def test_a_token_is_renewed_before_it_ends_and_the_bell_stays_live(site: Site, arrive: Visitor) -> None:
    page = arrive()
    tokens = remember_tokens(page)
    sign_in(page, "cyd")
    before = site.provider.control("counts")["refreshed"]
    page.get_by_role("button", name="Background jobs").click()
    # the hub ends the connection with the token; the page comes back with a new one, and nobody was asked anything
    wait_on(page, lambda: site.provider.control("counts")["refreshed"] > before, "it is renewed")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Use sample files").click()
    page.get_by_role("button", name="Zip ").click()
    expect(page.locator("job-bell li.row").or_(page.get_by_text("Your job has started")).first).to_be_visible()
    assert len(set(tokens)) >= 2


def test_a_role_that_is_taken_away_counts_from_the_next_token_on(site: Site, arrive: Visitor, noise: Noise) -> None:
    noise.expect("403")
    page = arrive()
    tokens = remember_tokens(page)
    sign_in(page, "dan")
    wait_on(page, lambda: bool(tokens), "the list is read")
    page.goto("about:blank")  # from here on none of the tokens before is renewed
    before = set(tokens)
    site.provider.control("roles?who=dan")
    page.goto(site.page_url)  # which renews
    wait_on(page, lambda: tokens[-1] not in before, "a new token is sent")
    headers = {"Authorization": f"Bearer {tokens[-1]}"}
    answer = httpx.get(f"{site.page_url}api/jobs/mine", headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (403, 403)


def test_new_keys_of_the_provider_are_found(site: Site, arrive: Visitor, noise: Noise) -> None:
    noise.expect(r"ERR_CONNECTION|Failed to|400 \(Bad Request\)|401 \(Unauthorized\)")
    page = arrive()
    sign_in(page, "eve")
    site.provider.stop()
    site.provider.start()
    page.reload()  # the page no longer knows what renewed the session
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    # the API reads them again after 30 s at the earliest; until then a token with a new key would be refused for good
    page.wait_for_timeout(max(0.0, site.keys_read_at + 31 - time.monotonic()) * SECONDS)
    sign_in(page, "eve")
    tokens = remember_tokens(page)
    page.reload()
    wait_on(page, lambda: bool(tokens), "the list is read")
    headers = {"Authorization": f"Bearer {tokens[-1]}"}
    wait_until(
        lambda: httpx.get(f"{site.page_url}api/jobs/mine", headers=headers, trust_env=False).status_code == 200,
        "the API knows the new key",
    )
