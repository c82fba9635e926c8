"""A whole running system, and people in front of real browsers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from tests.support.bell import Bell
from tests.support.client import Person
from tests.support.dashboard import open_dashboard
from tests.support.product import running_product
from tests.support.waiting import PATIENCE_SECONDS
from tools.docs_and_samples.chromium import find_or_install
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

#: Milliseconds to wait for what must come at all.
_PATIENCE = PATIENCE_SECONDS * 1_000
expect.set_options(timeout=_PATIENCE)

_ARGUMENTS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_product(durable=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def stage(stack: Stack) -> Iterator[Stage]:
    with Stage(stack.settings()) as stage:
        yield stage


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")  # as long as it is open, an event loop of its own keeps asynchronous tests from running
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


def launch(playwright: Playwright, **options: Any) -> Browser:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=find_or_install(), args=[*_ARGUMENTS, *sandbox], **options)


class Noise:
    """What a page must not make: console errors and warnings, exceptions, dialogs, violations of its policy."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """Allow what a test causes on purpose, such as requests to a server that it stopped."""
        self._expected.append(re.compile(pattern))

    def hear_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.heard.append(message.text)

    def hear_exception(self, error: Error) -> None:
        self.heard.append(f"exception: {error}")

    def hear_dialog(self, dialog: Dialog) -> None:
        self.heard.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def unexpected(self) -> list[str]:
        return [text for text in self.heard if not any(pattern.search(text) for pattern in self._expected)]


@pytest.fixture
def noise() -> Iterator[Noise]:
    noise = Noise()
    yield noise
    assert noise.unexpected() == []


@pytest.fixture
def visitor(browser: Browser, noise: Noise) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody new, or with `like=` another tab of the same browser. Options go to the browser."""
    contexts: list[BrowserContext] = []

    def open_page(url: str, *, like: Page | None = None, **options: Any) -> Page:
        if like is None:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
            context.set_default_timeout(_PATIENCE)
            contexts.append(context)
        else:
            context = like.context
        page = context.new_page()
        page.on("console", noise.hear_console)
        page.on("pageerror", noise.hear_exception)
        page.on("dialog", noise.hear_dialog)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # a handler that is interrupted would fail the next test
        context.close()


@pytest.fixture
def ann(stack: Stack) -> Iterator[Person]:
    """Somebody who uses the API instead of the page."""
    with Person(stack.page_url, stack.invite) as person:
        yield person


@pytest.fixture
def bell(stack: Stack, visitor: Callable[..., Page]) -> Bell:
    """An open bell of somebody new that gets pushes."""
    bell = Bell(visitor(stack.guest_url))
    bell.open()
    bell.expect_live()
    return bell


@pytest.fixture
def admin(stack: Stack, visitor: Callable[..., Page]) -> Callable[..., Page]:
    """Open the dashboard at an address as an admin of their own."""
    return partial(open_dashboard, stack, visitor)
