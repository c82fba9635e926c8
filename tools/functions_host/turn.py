"""How a host that waits for its turn is told to serve."""

from __future__ import annotations

import signal

#: Printed once it has imported the app.
LOADED = "the app is loaded"
#: Sent to it when it shall serve.
TURN = signal.SIGUSR1
