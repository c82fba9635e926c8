"""The SignalR emulator in tests, with its endpoints that inject faults."""

from __future__ import annotations

import http.client
import json
from typing import Any

from tests.support.waiting import PATIENCE_SECONDS
from tools.local_stack import ports
from tools.local_stack.app_servers import HubServer


class ControlledHub(HubServer):
    """`control("drop?user=ada")` drops connections, `control("log", method="GET")` reads what was pushed, and so on."""

    def control(self, path: str, *, method: str = "POST") -> Any:
        """Call /_control/<path> of the running emulator and return the JSON it answers. Raises OSError on a refusal."""
        return control(self, path, method=method)


def control(hub: HubServer, path: str, *, method: str = "POST") -> Any:
    """Call /_control/<path> of a running emulator and return the JSON it answers. Raises OSError on a refusal."""
    connection = http.client.HTTPConnection(ports.LOOPBACK, hub.ports[0], timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, f"/_control/{path}")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"{method} /_control/{path} answered {response.status}: {body.decode(errors='replace')}")
    return json.loads(body)
