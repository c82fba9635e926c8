"""The parts of the emulator's tests: the emulator as a process, an app server, and real clients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import jwt

from tests.support.hub import ControlledHub
from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tools.local_stack.node import find_node
from tools.local_stack.process import Command

ROOT = Path(__file__).parents[4]
CLIENT_FILE = ROOT / "web" / "vendor" / "signalr-10.0.11.min.js"
KEY = "a-key-of-the-tests-that-is-long-enough-for-hs256"
API_VERSION = "api-version=2022-06-01"
Event = dict[str, Any]
Claims = Mapping[str, object]


def sign(audience: str, claims: Claims | None = None, *, lifetime: float = 600, key: str = KEY) -> str:
    """A token as the app makes it."""
    return jwt.encode({"aud": audience, "exp": time.time() + lifetime, **(claims or {})}, key, "HS256")


class StandIn(ControlledHub):
    """The emulator as a process, always on the same port, and its REST API."""

    def __init__(self, *options: str) -> None:
        self.output: list[str] = []
        self.http = httpx.Client(timeout=PATIENCE_SECONDS)
        self._options = options
        super().__init__(KEY, emit=lambda _name, line: self.output.append(line))

    def end(self, how: signal.Signals) -> None:
        """End it with a signal, and wait until it has ended."""
        assert self.pid is not None
        os.kill(self.pid, how)
        wait_until(lambda: self.exit_code is not None, f"the end by {how.name}")
        self.stop()

    def close(self) -> None:
        """Stop it if it still runs."""
        self.kill()
        self.http.close()

    def call(self, method: str, path: str, *, token: str | None = None, **request: Any) -> httpx.Response:
        """A signed REST call."""
        url = self.endpoint + path
        headers = {"Authorization": f"Bearer {token or sign(url.split('?')[0])}", **request.pop("headers", {})}
        return self.http.request(method, url, headers=headers, **request)

    def send(self, argument: object, *, user: str | None = None) -> None:
        """Push the hub method `job` to a user, or to everybody; fails unless it was accepted."""
        to_user = "" if user is None else f"/users/{quote(user, safe='')}"
        body = {"target": "job", "arguments": [argument]}
        response = self.call("POST", f"/api/hubs/jobs{to_user}/:send?{API_VERSION}", json=body)
        assert response.status_code == 202, response.text

    def connections(self) -> list[dict[str, Any]]:
        """Who is connected."""
        found: list[dict[str, Any]] = self.control("connections", method="GET")["connections"]
        return found

    def waits_in_poll(self, connection_id: str) -> bool:
        """Whether a poll of this connection is open."""
        return any(each["waitsInPoll"] for each in self.connections() if each["id"] == connection_id)

    def negotiate_answer(self, user: str, claims: Claims | None = None, *, lifetime: float = 600) -> dict[str, str]:
        """What the app answers to a client's first negotiate."""
        url = f"{self.endpoint}/client/?hub=jobs"
        return {"url": url, "accessToken": sign(url, {"nameid": user, **(claims or {})}, lifetime=lifetime)}

    def _command(self) -> Command:
        command = super()._command()
        return replace(command, arguments=[*command.arguments, *self._options])


class AppServer:
    """The app's side, at an origin of its own: POST /api/negotiate?user=, a page, and the client file.

    Query parameters of negotiate: `lifetime` = of the token in seconds; `expires` = close the connection then.
    """

    def __init__(self, stand_in: StandIn, page: str = "") -> None:
        files = {"/": ("text/html", page.encode()), "/signalr.js": ("text/javascript", CLIENT_FILE.read_bytes())}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                claims = {}
                if "expires" in query:
                    claims = {"asrs.s.coae": "true", "asrs.s.aeo": str(int(time.time() + float(query["expires"])))}
                lifetime = float(query.get("lifetime", "600"))
                answer = stand_in.negotiate_answer(query["user"], claims, lifetime=lifetime)
                self._answer(200, "application/json", json.dumps(answer).encode())

            def do_GET(self) -> None:
                kind, content = files.get(urlsplit(self.path).path, ("text/plain", b""))
                self._answer(200 if content else 204, kind, content)

            def _answer(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.stand_in = stand_in
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class HubClients:
    """Real @microsoft/signalr clients in one Node process, which tell what happens to them as events."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("hub_clients.cjs")
        self._process = subprocess.Popen(
            [find_node(), str(script), str(CLIENT_FILE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands: IO[str] = self._process.stdin
        self.events: list[Event] = []
        self._reading = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reading.start()

    def tell(self, do: str, client: str, **details: str) -> None:
        """Give a command."""
        self._commands.write(json.dumps({"do": do, "client": client, **details}) + "\n")
        self._commands.flush()

    def forget(self) -> None:
        """Stop all clients and forget what happened."""
        self.tell("forget", "")
        wait_until(lambda: self.events[-1:] == [{"event": "forgotten"}], "all clients stop")
        self.events.clear()

    def connect(self, app: AppServer, user: str, transport: str, **query: str) -> str:
        """Connect a client that is named as its user; returns the connection's id.

        One that polls has a poll open then: what ends the connection does not come between two of them.
        """
        parameters = urlencode({"user": user, **query})
        self.tell("start", user, url=f"{app.url}/api?{parameters}", transport=transport)
        connection_id: str = self.wait_for(user, "started")["id"]
        if transport == "LongPolling":
            wait_until(lambda: app.stand_in.waits_in_poll(connection_id), f"a poll of {user} is open")
        return connection_id

    def of(self, client: str, event: str) -> list[Event]:
        """The client's events of this name, in order."""
        return [each for each in list(self.events) if (each.get("client"), each["event"]) == (client, event)]

    def wait_for(self, client: str, event: str, *, count: int = 1) -> Event:
        """Wait until the event has happened `count` times to the client; returns the last of these."""
        wait_until(lambda: len(self.of(client, event)) >= count, f"{count} x {event!r} of {client}")
        return self.of(client, event)[count - 1]

    def wait_for_push(self, client: str, argument: object) -> None:
        """Wait until the client has got a push with this first argument."""
        wait_until(lambda: argument in self.received(client), f"push {argument!r} to {client}")

    def received(self, client: str) -> list[Any]:
        """The first argument of each push that the client got, in order."""
        return [event["arguments"][0] for event in self.of(client, "job")]

    def close(self) -> None:
        """End all clients."""
        self._commands.close()
        self._process.wait(PATIENCE_SECONDS)
        self._reading.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.events.append(json.loads(line))


@contextmanager
def running(*options: str) -> Iterator[StandIn]:
    """An emulator for one test."""
    stand_in = StandIn(*options)
    try:
        stand_in.start()
        yield stand_in
    finally:
        stand_in.close()
