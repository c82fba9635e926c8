"""A local stand-in for Azure SignalR Service in serverless mode: real clients connect, the REST API pushes to them."""

from __future__ import annotations

from typing import Final

#: Names the access key: everybody on the machine may read a command line, and an environment only its owner.
ACCESS_KEY: Final = "SIGNALR_ACCESS_KEY"
