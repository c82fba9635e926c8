"""A second channel, to a real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from queued_jobs import JobStatus, QueuedJob
from queued_jobs.message import JobMessage
from queued_jobs.push.webhook import Webhook, WebhookFailed
from queued_jobs.registry import JobRegistry
from tests.unit.queued_jobs.conftest import Demo, World

SECRET = b"s" * 32
NOW = timedelta()


@dataclass
class Receiver:
    """Answers with the statuses that it is told to, then with 204."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/status"
    yield receiver
    server.shutdown()
    thread.join()
    server.server_close()


def webhook(receiver: Receiver) -> Webhook:
    return Webhook(receiver.url, SECRET, JobRegistry([Demo]), wait=NOW)


async def test_each_change_of_a_job_is_posted_and_signed(world: World, receiver: Receiver) -> None:
    hook = webhook(receiver)

    class Posting(Demo):
        kind = "demo"

        async def on_status_updated(self, job: QueuedJob) -> None:
            await super().on_status_updated(job)
            await hook.post(job)

    assert (await world.run(of=Posting)).status is JobStatus.SUCCEEDED
    await hook.close()
    assert world.shown() == ["pending", "running", "succeeded"], "the owner is told as before"
    assert [json.loads(body)["status"] for _, body in receiver.got] == ["running", "succeeded"]
    for headers, body in receiver.got:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["webhook-id"] == f"{json.loads(body)['id']}.{json.loads(body)['version']}"


async def test_a_receiver_that_stumbles_is_tried_again(world: World, receiver: Receiver) -> None:
    hook = webhook(receiver)
    receiver.answers = [503, 429]
    await hook.post(await world.queued())
    await hook.close()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 3


@pytest.mark.parametrize(("answers", "tries"), [([500] * 9, 3), ([400], 1), ([302], 1)])
async def test_in_the_end_it_is_given_up(world: World, receiver: Receiver, answers: list[int], tries: int) -> None:
    hook = webhook(receiver)
    receiver.answers = answers
    with pytest.raises(WebhookFailed, match=f"status {answers[0]}"):
        await hook.post(await world.queued())
    await hook.close()
    assert len(receiver.got) == tries


async def test_a_receiver_that_is_away_never_touches_the_job(world: World) -> None:
    hook = Webhook("http://127.0.0.1:9/", SECRET, JobRegistry([Demo]), wait=NOW)

    class Posting(Demo):
        kind = "demo"

        async def on_status_updated(self, job: QueuedJob) -> None:
            await hook.post(job)

    job = await world.queued()
    await world.runner(of=Posting).execute(JobMessage.of(job))
    await hook.close()
    assert world.row(job).status is JobStatus.SUCCEEDED


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 or more"):
        Webhook("http://127.0.0.1/", b"short", JobRegistry([]))
