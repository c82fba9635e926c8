"""Who receives which pushes from the hub."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jwt
import pytest
from pydantic import BaseModel
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from queued_jobs import JobContext, JobRunner, QueueManager
from queued_jobs.database import Database
from queued_jobs.message import JobMessage
from queued_jobs.postgres import PostgresRepository
from queued_jobs.push.signalr import ConnectionString, SignalRNotifier
from queued_jobs.registry import JobRegistry
from queued_jobs.testing import FakeQueues
from tests.integration.security.conftest import Attacks, Site
from tests.support.waiting import PATIENCE_SECONDS, wait_until

END = "\x1e"


@contextmanager
def listening(site: Site, who: str) -> Iterator[list[str]]:
    """Connect as this user; yields the frames as they come in."""
    access = site.call(who, "POST", "/api/negotiate").raise_for_status().json()
    frames: list[str] = []

    def listen(socket: ClientConnection) -> None:
        for frame in socket:
            frames.append(str(frame))
            if '"type":6' in frames[-1]:  # a client that never pings is taken for gone
                socket.send(json.dumps({"type": 6}) + END)

    url = f"{socket_of(access['url'])}&access_token={access['accessToken']}"
    with connect(url, proxy=None, ping_interval=None) as socket:  # a late answer to a ping says nothing here
        socket.send(json.dumps({"protocol": "json", "version": 1}) + END)
        assert socket.recv(timeout=PATIENCE_SECONDS) == "{}" + END
        listener = threading.Thread(target=listen, args=(socket,))
        listener.start()
        yield frames
    listener.join(PATIENCE_SECONDS)


def socket_of(url: str) -> str:
    return url.replace("http", "ws", 1)


def test_a18_nobody_hears_of_anothers_jobs(signed: Site, attacks: Attacks) -> None:
    with listening(signed, "bob-listens") as bobs, listening(signed, "ann-works") as anns:
        jobs = [signed.start("ann-works", prefix=f"of-ann-{number}")["id"] for number in range(100)]
        own = signed.start("bob-listens", prefix="of-bob")["id"]
        wait_until(lambda: any(own in frame and '"failed"' in frame for frame in bobs), "Bob hears of his own")
        wait_until(lambda: all(any(key in frame for frame in anns) for key in jobs), "Ann hears of hers")
        heard = "".join(bobs)
    assert not any(key in heard for key in jobs)
    assert "of-ann" not in heard
    assert signed.user_id("ann-works") not in heard
    attacks.note(
        "A18", f"frames of another user while 100 jobs ran; of the jobs: {len(anns)}", ["0 about them"] * len(bobs)
    )


class Ask(BaseModel):
    line: str


class Talker(JobRunner[Ask, None]):
    """Is run by this process, and pushes through the stack's hub."""

    kind = "talker"
    queue = "talker"

    async def on_execute(self, request: Ask, ctx: JobContext[None]) -> None:
        for number in range(20):
            await ctx.emit("story", f"{request.line} {number}")
            await asyncio.sleep(0.02)


async def talk(site: Site, who: str, line: str) -> str:
    """Run a job of this user, and return its id."""
    settings = site.stack.settings()
    registry = JobRegistry([Talker])
    notifier = SignalRNotifier(ConnectionString.parse(settings["SIGNALR_CONNECTION"]), registry)
    database = Database(settings["DATABASE_URL"])
    manager = QueueManager(registry, repository=PostgresRepository(database), queues=FakeQueues(), notifier=notifier)
    handle = await manager.queue_job(Talker, Ask(line=line), user_id=site.user_id(who))
    await manager.runner("talker").execute(JobMessage.of(handle.job))
    await notifier.close()
    await database.close()
    return str(handle.id)


def test_a18_nobody_reads_what_anothers_jobs_emit(signed: Site, attacks: Attacks) -> None:
    with (
        listening(signed, "bob-listens") as bobs,
        listening(signed, "ann-works") as anns,
        listening(signed, "admin") as admins,
    ):
        job_id = asyncio.run(talk(signed, "ann-works", "password=hunter22 of-ann"))
        asyncio.run(talk(signed, "bob-listens", "of-bob"))
        wait_until(lambda: any("of-bob 19" in frame for frame in bobs), "Bob reads his own")
        wait_until(lambda: any("of-ann 19" in frame for frame in anns), "Ann reads hers")
        told = "".join(admins)
    chunks = [frame for frame in anns if '"chunks"' in frame]
    assert all(job_id in frame for frame in chunks)
    assert "hunter22" not in "".join(anns)
    assert job_id not in "".join(bobs)
    assert "of-ann" not in "".join(bobs)
    assert "of-" not in told
    attacks.note("A18", f"frames of another user, and of an admin, while a job emits: {len(chunks)}", ["0 of them"])


def test_a18_numbers_of_chunks_are_no_input(signed: Site, attacks: Attacks) -> None:
    found = []
    for path, methods in signed.document["paths"].items():
        for method, operation in methods.items():
            found += [
                (method, path, parameter["name"])
                for parameter in operation.get("parameters", ())
                if parameter["name"] in ("after", "seq", "last")
            ]
            body = json.dumps(operation.get("requestBody", {}))
            assert "Chunk" not in body
            assert "Segment" not in body
    assert {(method, name) for method, path, name in found if path.endswith("/stream")} == {("get", "after")}
    assert not [one for one in found if one[0] != "get"]
    attacks.note("A18", "inputs that set the number of a chunk", ["0"])


def test_a16_tokens_that_the_hub_refuses(signed: Site, attacks: Attacks) -> None:
    connection = ConnectionString.parse(signed.stack.settings()["SIGNALR_CONNECTION"])
    access = signed.call("ann", "POST", "/api/negotiate").json()
    url, now = access["url"], int(time.time())
    good = {"aud": url, "exp": now + 600, "iat": now, "nameid": signed.user_id("bob")}
    key = connection.access_key
    tokens = {
        "expired": jwt.encode(good | {"exp": now - 600}, key, algorithm="HS256"),
        "another hub's": jwt.encode(good | {"aud": url.replace("hub=jobs", "hub=other")}, key, algorithm="HS256"),
        "another audience": jwt.encode(good | {"aud": "https://api.example"}, key, algorithm="HS256"),
        "another key": jwt.encode(good, "x" * 43, algorithm="HS256"),
        "the API's own": signed.token("ann"),
        "none": "",
        "unsigned": jwt.encode(good, "", algorithm="none"),
    }
    answers = []
    for name, token in tokens.items():
        with pytest.raises(InvalidStatus) as caught, connect(f"{socket_of(url)}&access_token={token}", proxy=None):
            pass
        assert caught.value.response.status_code == 401, name
        answers.append(caught.value.response.status_code)
    attacks.note("A16", "seven wrong tokens at the hub", answers)


def test_a17_a_client_that_speaks_is_cut_off(signed: Site, attacks: Attacks) -> None:
    access = signed.call("ann", "POST", "/api/negotiate").json()
    with connect(f"{socket_of(access['url'])}&access_token={access['accessToken']}", proxy=None) as socket:
        socket.send(json.dumps({"protocol": "json", "version": 1}) + END)
        assert socket.recv(timeout=PATIENCE_SECONDS) == "{}" + END
        call = {"type": 1, "target": "job", "arguments": [{"id": "x"}]}
        socket.send(json.dumps(call) + END)
        last = "".join(str(frame) for frame in socket)
    assert '"type":7' in last.replace(" ", "")
    attacks.note("A17", "an invocation by a client", ["closed"])
