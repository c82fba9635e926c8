"""An editor that is attached to a debugger, over the Debug Adapter Protocol."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import PATIENCE_SECONDS, wait_until
from tools.local_stack import ports

Message = dict[str, Any]

_HANDSHAKE_SECONDS = 10.0


class DebugClient:
    """Attaches as soon as the debugger listens. Use it as a context manager, which disconnects."""

    def __init__(self, port: int) -> None:
        self._numbers = itertools.count(1)
        self._kept: list[Message] = []
        wait_until(lambda: self._attaches(port), f"a debugger listens on port {port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._socket, self._stream, contextlib.suppress(OSError, EOFError):
            self.ask("disconnect", terminateDebuggee=False)
            while True:  # until the debugger has closed the connection: the next editor is served after that
                self._read()

    def set_breakpoint(self, file: Path, line: int) -> None:
        """Fails if the debugger cannot stop there."""
        body = self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": line}])
        assert [(each["verified"], each["line"]) for each in body["breakpoints"]] == [(True, line)]

    def paused_at(self) -> tuple[int, str, int]:
        """Wait for the next pause, and return its thread, and the name and the line of its file."""
        thread = self.event("stopped")["threadId"]
        frame = self.ask("stackTrace", threadId=thread)["stackFrames"][0]
        return thread, Path(frame["source"]["path"]).name, frame["line"]

    def continue_(self, thread: int) -> None:
        """End the pause."""
        self.ask("continue", threadId=thread)

    def ask(self, command: str, **arguments: Any) -> Message:
        """Send a request and return the body of its response."""
        return self._response(self._send(command, arguments))

    def event(self, name: str) -> Message:
        """Wait for an event and return its body."""
        body: Message = self._wait_for(type="event", event=name).get("body", {})
        return body

    def _attaches(self, port: int) -> bool:
        """Attach; return whether it succeeds. A debugger that ends closes the connection or does not respond."""
        try:
            self._socket = socket.create_connection((ports.LOOPBACK, port), timeout=_HANDSHAKE_SECONDS)
        except ConnectionRefusedError:
            return False
        self._stream = self._socket.makefile("rwb")
        try:
            self.ask("initialize", adapterID="tests", pathFormat="path", linesStartAt1=True, columnsStartAt1=True)
            attach = self._send("attach", {"justMyCode": True})
            self.event("initialized")
            self.ask("configurationDone")
            self._response(attach)
        except (OSError, EOFError):
            self._socket.close()
            with contextlib.suppress(OSError):
                self._stream.close()
            return False
        self._socket.settimeout(PATIENCE_SECONDS)
        return True

    def _send(self, command: str, arguments: Message) -> int:
        number = next(self._numbers)
        content = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
        self._stream.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self._stream.flush()
        return number

    def _response(self, number: int) -> Message:
        response = self._wait_for(type="response", request_seq=number)
        assert response["success"], response
        body: Message = response.get("body", {})
        return body

    def _wait_for(self, **properties: Any) -> Message:
        for message in self._kept:
            if properties.items() <= message.items():
                self._kept.remove(message)
                return message
        while True:
            message = self._read()
            if properties.items() <= message.items():
                return message
            self._kept.append(message)

    def _read(self) -> Message:
        length = 0
        while (line := self._stream.readline()) != b"\r\n":
            if not line:
                raise EOFError("the debugger has closed the connection")
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: Message = json.loads(self._stream.read(length))
        return message
