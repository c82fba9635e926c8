"""The page's side in real Chromium, from an origin that is not the hub's."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.integration.local.signalr.harness import API_VERSION, AppServer, running

PAGE = """<!doctype html><link rel="icon" href="data:,"><script type="module">
import "/signalr.js";
const happened = [];
window.happened = happened;
const transport = signalR.HttpTransportType[new URLSearchParams(location.search).get("transport")];
const connection = new signalR.HubConnectionBuilder()
  .withUrl("/api?user=ada", { transport, withCredentials: location.search.includes("credentials") })
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 100 })
  .configureLogging(signalR.LogLevel.None)
  .build();
connection.on("job", (job) => happened.push("job " + job.id));
connection.onreconnected(() => happened.push("reconnected"));
connection.onclose((error) => happened.push("closed: " + error?.message));
connection.start().then(() => happened.push("started"), (error) => happened.push("failed: " + error.message));
</script>"""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def expect(page: Page, *events: str) -> None:
    page.wait_for_function(f"happened.length >= {len(events)}", timeout=30_000)
    assert page.evaluate("happened") == list(events)


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
def test_a_page_of_another_origin_is_pushed_to_and_comes_back(transport: str) -> None:
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with running() as stand_in, sync_playwright() as playwright:
        app = AppServer(stand_in, PAGE)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            page = browser.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
            page.goto(f"{app.url}/?transport={transport}&credentials")
            expect(page, "started")
            stand_in.send({"id": "1"}, user="ada")
            expect(page, "started", "job 1")
            assert faults == [], "CORS and the script raise no complaint"
            stand_in.stop()
            stand_in.start()
            expect(page, "started", "job 1", "reconnected")
            stand_in.send({"id": "2"}, user="ada")
            expect(page, "started", "job 1", "reconnected", "job 2")
            stand_in.call("POST", f"/api/hubs/jobs/users/ada/:closeConnections?{API_VERSION}&reason=bye")
            closed = "closed: Server returned an error on close: bye"
            expect(page, "started", "job 1", "reconnected", "job 2", closed)
        finally:
            browser.close()
            app.close()
