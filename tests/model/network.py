"""What lies between the parts and can fail them: a queue that loses and doubles, and a hub that keeps every push."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

from queued_jobs.errors import SendFailed
from queued_jobs.message import Due, JobMessage
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.registry import JobRegistry

#: What becomes of a message that is sent: "unclear" means that it arrives, and its sender hears of a failure.
FATES = ("arrives", "arrives", "arrives", "lost", "doubled", "refused", "unclear")


class Mailbox:
    """`Queues` in a list.

    Attributes
    ----------
    messages
        What lies on the queue.
    asked
        Every send since the last look, whatever became of it.
    """

    def __init__(self) -> None:
        self.messages: list[JobMessage] = []
        self.asked: list[Due] = []
        self.fate = "arrives"

    async def ensure(self, *queues: str) -> None:
        return None

    async def send(self, queue: str, message: JobMessage, *, delay: timedelta = timedelta()) -> None:
        self.asked.append(Due(message=message, queue=queue, delay=delay))
        copies = {"lost": 0, "refused": 0, "doubled": 2}.get(self.fate, 1)
        self.messages += [message] * copies
        if not self.takes:
            raise SendFailed(f"The queue {queue} did not accept a message.")

    @property
    def takes(self) -> bool:
        """Whether senders are told that their message was taken."""
        return self.fate not in ("refused", "unclear")


class Hub(SignalRNotifier):
    """The real notifier up to the point where a request would leave it. Only pushes to users are kept, and fail.

    Attributes
    ----------
    pushes
        (user, method, arguments) of every push to a user, in order.
    """

    def __init__(self, registry: JobRegistry) -> None:
        connection = ConnectionString(endpoint="http://127.0.0.1", access_key="unused")
        super().__init__(connection, registry)
        self.pushes: list[tuple[str, str, list[Any]]] = []
        self.unavailable = False

    async def _call(self, method: str, path: str, body: bytes | None = None, **query: str) -> bytes:
        to_user = _TO_USER.fullmatch(path)
        if to_user is not None and body is not None:
            if self.unavailable:
                raise PushFailed("The hub is unavailable.")
            push = json.loads(body)
            self.pushes.append((unquote(to_user[1]), push["target"], push["arguments"]))
        return b""


_TO_USER = re.compile(r"/api/hubs/[^/]+/users/([^/]+)/:send")
