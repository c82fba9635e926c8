"""The bell when the connection, the hub, the server or the clock is not as it should be."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import jwt
import pytest
from playwright.sync_api import Page, Request, Route, expect

from queued_jobs.push.signalr import ConnectionString
from tests.e2e.conftest import Noise
from tests.support.bell import SECONDS, Bell, wait_on
from tests.support.hub import control
from tests.support.waiting import wait_until
from tools.docs_and_samples.staged_jobs import Stage
from tools.local_stack.stack import Stack

Visitor = Callable[..., Page]

HUB_AWAY = r"ERR_CONNECTION_REFUSED|WebSocket|Failed to (start|complete)|Error from HTTP|disconnected with error"
DROPPED = r"Connection disconnected|WebSocket closed|WebSocket connection to|Error from HTTP"
SERVER_AWAY = r"ERR_CONNECTION_REFUSED|status of 50[03]"

#: What a page of a browser that hides it gets to know.
HIDE = """(hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""

#: Notifications of the system that the page shows from here on.
KEEP_NOTICES = """() => {
    globalThis.notices = [];
    globalThis.Notification = class extends Notification {
        constructor(...content) {
            super(...content);
            notices.push(this);
        }
    };
}"""


@pytest.fixture(autouse=True)
def quiet_hub(stack: Stack) -> Iterator[None]:
    """No fault of one test strikes the next."""
    yield
    control(stack.hub, "reset")


def negotiations(page: Page) -> list[Request]:
    """Every request for a place on the hub, from here on."""
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request) if "/api/negotiate" in request.url else None)
    return requests


def test_a_job_that_ends_during_a_gap_is_told_once(stack: Stack, stage: Stage, bell: Bell, noise: Noise) -> None:
    noise.expect(DROPPED + "|ERR_FAILED|Failed to (start|complete)")
    job = stage.put(bell.user_id, "running", progress=0.4)
    expect(bell.rows).to_contain_text("Running")
    said = bell.listen()
    bell.page.route("**/client/negotiate?*", lambda route: route.abort())
    control(stack.hub, "drop")
    expect(bell.connection).to_have_text("Reconnecting")
    stage.change(job, "succeeded")
    bell.page.unroute_all()
    expect(bell.rows).to_contain_text("Succeeded")
    bell.expect_live()
    expect(bell.said).to_have_text("Zip of reports succeeded")
    bell.page.evaluate("new Promise((resolve) => setTimeout(resolve, 1500))")  # longer than a digest waits
    assert said.json_value() == ["Zip of reports succeeded"]
    assert bell.rows.count() == 1


def test_a_lost_push_is_made_good_on_return_and_after_five_minutes(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise
) -> None:
    noise.expect("Server timeout elapsed")  # the clock jumps past the hub's pings
    page = visitor("about:blank")
    page.clock.install()
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    job = stage.put(bell.user_id, "running")
    expect(bell.rows).to_contain_text("Running")
    control(stack.hub, "pause")
    stage.change(job, "failed")
    page.evaluate(HIDE, True)
    page.evaluate(HIDE, False)
    expect(bell.rows).to_contain_text("Failed")
    stage.put(bell.user_id, "succeeded")
    expect(bell.rows).to_have_count(1)
    page.clock.fast_forward("05:01")
    expect(bell.rows).to_have_count(2)


def test_messages_about_what_one_read_brings_come_oldest_first(bell: Bell, stack: Stack, stage: Stage) -> None:
    bell.close()
    names = [f"number {number}" for number in range(5)]
    keys = [stage.put(bell.user_id, "running", request={"prefix": "", "name": name}) for name in names]
    bell.expect_name("Background jobs, 5 running")
    for key in keys:
        bell.page.evaluate("(job) => document.querySelector('job-bell').track(job)", stage.view(key))
    control(stack.hub, "pause")
    for key in keys:
        stage.change(key, "failed")
    bell.page.evaluate(HIDE, True)
    bell.page.evaluate(HIDE, False)
    bell.keep_messages()
    expect(bell.toasts).to_have_count(3)
    expect(bell.toasts).to_contain_text([f"Zip of {name}" for name in names[2:]])


def test_doubled_and_reordered_pushes_change_nothing(stack: Stack, stage: Stage, bell: Bell) -> None:
    bell.watch()
    job = stage.put(bell.user_id, "running", progress=0.1)
    expect(bell.rows).to_contain_text("10%")
    control(stack.hub, "reorder?count=1")
    control(stack.hub, "duplicate?count=4")
    stage.change(job, progress=0.5)  # held back until the next has gone
    stage.change(job, "succeeded")
    expect(bell.rows).to_contain_text("Succeeded")
    stale = stage.view(job) | {"version": 2, "status": "running", "finishedAt": None}
    stage.push(stale, bell.user_id)
    last = stage.put(bell.user_id, "cancelled")
    expect(bell.rows).to_have_count(2)
    told = [state for state in bell.watched() if state["id"] == str(job)]
    assert list(dict.fromkeys(state["status"] for state in told)) == ["running", "succeeded"]
    versions = [state["version"] for state in told]
    assert versions == sorted(set(versions)), "what came doubled or late was not told"
    assert str(last) in {state["id"] for state in bell.watched()}


def test_without_a_hub_the_list_is_read_and_the_hub_asked_for_ever(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise
) -> None:
    noise.expect(HUB_AWAY)
    stack.hub.stop()
    try:
        page = visitor("about:blank")
        page.clock.install()
        tries = negotiations(page)
        page.goto(stack.guest_url)
        bell = Bell(page)
        bell.open()
        expect(bell.connection).to_have_text("Live updates off, checking every 30 s")
        expect(page.get_by_text("No jobs")).to_be_visible()
        began = len(tries)
        for _ in range(20):  # ten minutes, in steps that let the network answer
            before = len(tries)
            page.clock.fast_forward(30_000)
            page.wait_for_timeout(100)
            wait_for_more(page, tries, than=before)
        assert began + 10 <= len(tries) <= 25, len(tries)
        ours = [text for text in noise.heard if "ERR_CONNECTION_REFUSED" not in text]
        assert len(ours) == 1, "of all tries the browser tells, and of the outage we, once"
    finally:
        stack.hub.start()
    page.clock.fast_forward(30_000)
    bell.expect_live()
    stage.put(bell.user_id, "running")
    expect(bell.rows).to_contain_text("Running")


def wait_for_more(page: Page, heard: Sequence[object], *, than: int) -> None:
    """Let the page's events come in until there is a new one, for at most a second."""
    deadline = time.monotonic() + 1
    while len(heard) <= than and time.monotonic() < deadline:
        page.wait_for_timeout(20)


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
def test_a_token_that_has_expired_is_renewed(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise, transport: str
) -> None:
    noise.expect(DROPPED + "|status of 401")
    page = visitor("about:blank")
    if transport == "LongPolling":
        page.add_init_script("delete globalThis.WebSocket")
    hub = ConnectionString.parse(stack.hub.connection_string)
    given: list[str] = []
    expires = 0

    def expire_soon(route: Route) -> None:
        """The first token lives five seconds; it is signed as the server would sign it."""
        nonlocal expires
        answer = route.fetch()
        body = answer.json()
        if not given:
            claims = jwt.decode(body["accessToken"], options={"verify_signature": False})
            expires = int(time.time()) + 5
            claims |= {"exp": expires, "asrs.s.aeo": str(expires)}
            body["accessToken"] = jwt.encode(claims, hub.access_key, algorithm="HS256")
        given.append(body["accessToken"])
        route.fulfill(response=answer, json=body)

    page.route("**/api/negotiate*", expire_soon)
    page.goto(stack.guest_url)
    bell = Bell(page)
    bell.open()
    bell.expect_live()
    user_id = bell.user_id

    def is_renewed() -> bool:
        listed = control(stack.hub, "connections", method="GET")["connections"]
        own = [each for each in listed if each["user"] == user_id]
        if [each["transport"] for each in own] != [transport]:
            return False
        return datetime.fromisoformat(own[0]["connectedAt"]).timestamp() >= expires

    wait_on(page, is_renewed, "the hub has closed the connection with its token, and the page has a new one")
    bell.expect_live()
    assert len(set(given)) == len(given) >= 2
    stage.put(user_id, "running")
    expect(bell.rows).to_contain_text("Running")


def test_without_a_server_nothing_is_lost_from_the_screen(stack: Stack, stage: Stage, bell: Bell, noise: Noise) -> None:
    noise.expect(SERVER_AWAY)
    stage.put(bell.user_id, "succeeded")
    clear = bell.rows.get_by_role("button", name="Clear Zip of reports")
    expect(clear).to_be_visible()
    failure = bell.text("failure", "clear")
    assert stack.postgres is not None
    stack.postgres.stop()
    try:
        clear.click()
        expect(bell.rows.locator(".note")).to_contain_text(failure)
        expect(bell.connection).to_contain_text("Not up to date, last update")
        expect(bell.rows).to_have_count(1)
        bell.picture("stale")
    finally:
        stack.postgres.start()
    stage.connect()
    bell.expect_live()
    expect(bell.rows.locator(".note")).to_be_hidden()
    clear.click()
    expect(bell.rows).to_have_count(0)


def test_a_host_that_hangs_is_not_waited_for_for_ever(stack: Stack, stage: Stage, bell: Bell, noise: Noise) -> None:
    noise.expect(SERVER_AWAY)
    stage.put(bell.user_id, "succeeded")
    failure, timeout = bell.text("failure", "clear"), bell.text("failure", "timeout")
    assert stack.host.pid is not None
    os.kill(stack.host.pid, signal.SIGSTOP)
    try:
        bell.rows.get_by_role("button", name="Clear Zip of reports").click()
        expect(bell.rows).to_have_count(0)
        note = bell.host.locator(".row .note")
        expect(note).to_contain_text(failure)
        expect(note).to_contain_text(timeout)
        expect(bell.rows).to_have_count(1)
    finally:
        os.kill(stack.host.pid, signal.SIGCONT)


#: Timers fire in order, and ends that came before are announced together within four seconds.
ANNOUNCED = "() => { window.announced = new Promise((resolve) => setTimeout(resolve, 4000)); }"


def tell_of_ends_in_hidden_tabs(stage: Stage, first: Bell, second: Bell) -> None:
    """Notifications of the system: not before a switch is pressed, once over all tabs, never while one is visible."""
    pages = [first.page, second.page]
    for page in pages:
        page.evaluate(KEEP_NOTICES)

    def shown() -> int:
        return sum(page.evaluate("notices.length") for page in pages)

    def end(name: str) -> None:
        stage.put(first.user_id, "failed", request={"prefix": "", "name": name})
        for bell in (first, second):
            expect(bell.said).to_contain_text(f"Zip of {name}")

    switches = [bell.host.get_by_role("switch") for bell in (first, second)]
    for page in pages:
        page.evaluate(HIDE, True)
    end("unnoticed")
    assert shown() == 0
    first.page.context.grant_permissions(["notifications"])
    second.page.evaluate(HIDE, False)
    switches[1].press("Enter")
    for switch in switches:
        expect(switch).to_have_attribute("aria-checked", "true")
    end("seen in the visible tab")
    assert shown() == 0
    second.close()
    second.page.evaluate(HIDE, True)
    end("noticed")
    wait_on(first.page, lambda: shown() == 1, "one of the tabs notifies")
    told = first if first.page.evaluate("notices.length") else second
    assert told.page.evaluate("notices[0].title") == "Zip of noticed failed"
    told.page.evaluate("notices[0].dispatchEvent(new Event('click'))")
    expect(told.row("noticed").first).to_be_focused()
    for bell in (first, second):
        bell.page.evaluate(HIDE, False)
    if told is first:  # which has opened itself only
        second.open()
    switches[0].press("Enter")
    expect(switches[1]).to_have_attribute("aria-checked", "false")
    assert shown() == 1


def test_two_tabs_agree_and_a_hidden_one_lets_go_of_its_socket(
    stack: Stack, stage: Stage, visitor: Visitor, noise: Noise
) -> None:
    noise.expect("Server timeout elapsed")  # the clock jumps past the hub's pings
    page = visitor("about:blank")
    page.clock.install()
    page.goto(stack.guest_url)
    first = Bell(page)
    first.open()
    first.expect_live()
    page.keyboard.press("Escape")
    user_id = first.user_id
    second = Bell(visitor(stack.page_url, like=page))
    assert second.user_id == user_id
    keys = stage.put_many(user_id, 3, "succeeded")
    for key in keys:
        stage.push(stage.view(key), user_id)
    first.expect_name("Background jobs, 3 new")
    second.expect_name("Background jobs, 3 new")
    for bell in (first, second):
        bell.page.evaluate(ANNOUNCED)
    second.open()
    second.expect_live()
    expect(first.button).to_have_accessible_name("Background jobs")
    first.open()
    second.rows.first.get_by_role("button", name="Clear Zip").click()
    expect(first.rows).to_have_count(2)
    expect(second.rows).to_have_count(2)

    def sockets() -> int:
        listed = control(stack.hub, "connections", method="GET")["connections"]
        return sum(each["user"] == user_id for each in listed)

    assert sockets() == 2
    for bell in (first, second):
        bell.page.evaluate("announced")
    tell_of_ends_in_hidden_tabs(stage, first, second)
    page.evaluate(HIDE, True)
    page.clock.fast_forward("02:01")
    wait_until(lambda: sockets() == 1, "the hidden tab's socket is closed")
    second.panel.get_by_role("button", name="Clear finished").click()
    expect(second.rows).to_have_count(0)
    expect(first.rows).to_have_count(5)
    page.evaluate(HIDE, False)
    expect(first.rows).to_have_count(0)
    first.expect_live()


def test_sign_in_again_and_the_jobs_stay(stack: Stack, stage: Stage, bell: Bell, noise: Noise) -> None:
    """The server refuses the token while the page is open; then the page has a good one again."""
    noise.expect("status of 401|Failed to (start|complete)")
    token = bell.session()["token"]
    stage.put(bell.user_id, "succeeded")
    expect(bell.rows).to_have_count(1)
    events = bell.page.evaluate_handle(
        "() => { const told = []; addEventListener('job-bell-auth', () => told.push(1)); return told; }"
    )
    bell.page.evaluate("document.querySelector('job-bell').getToken = async () => 'forged'")
    expect(bell.connection).to_have_text("Sign in again")
    expect(bell.rows).to_have_count(1)
    assert events.json_value() == [1]
    tries = negotiations(bell.page)
    bell.page.wait_for_timeout(3 * SECONDS)
    assert tries == [], "nothing is asked for again and again"
    bell.picture("sign-in-again")
    bell.page.evaluate("(token) => { document.querySelector('job-bell').getToken = async () => token; }", token)
    bell.expect_live()
    expect(bell.rows).to_have_count(1)
