"""A local emulator of Azure SignalR Service in serverless mode: clients connect, the REST API pushes to them."""

from __future__ import annotations

from typing import Final

#: The variable with the access key: all users of the machine can read a command line, but not an environment.
ACCESS_KEY: Final = "SIGNALR_ACCESS_KEY"
