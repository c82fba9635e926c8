"""The host as a process: one app with all triggers, its HTTP server, its log, its end, and its death."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import signal
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.integration.local.host.conftest import StartHost
from tests.integration.local.host.harness import ROOT, HostProcess, Queue, wait_until
from tests.support.waiting import PATIENCE_SECONDS

SAMPLE_APP = Path(__file__).parent / "sample_app"
NEVER = "0 0 0 29 2 *"

Events = Callable[[], list[str]]


@pytest.fixture
def events(tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Events:
    """What the sample app has noted so far; its settings are in the environment of the host."""
    path = tmp_path / "events"
    path.touch()
    monkeypatch.setenv("EVENTS", str(path))
    monkeypatch.setenv("SAMPLE_QUEUE", queue.name)
    monkeypatch.setenv("SAMPLE_SCHEDULE", NEVER)
    return lambda: path.read_text().splitlines()


async def _wait_for(events: Events, *expected: str) -> None:
    await wait_until(lambda: set(expected) <= set(events()), f"{expected} among {events()}")


async def test_four_triggers_on_one_app(queue: Queue, events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, SAMPLE_SCHEDULE="* * * * * *")
    url = await host.ready()
    await queue.send('{"n": 1}')
    await queue.send('{"n": 2, "fail": true}')
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/")).text == "<h1>page</h1>"
        assert (await client.get("/api/health")).json() == {"status": "ok"}
        unknown = await client.get("/unknown")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
        for path in ("/admin", "/admin/x", "/runtime/x"):
            reserved = await client.get(path)
            assert (reserved.status_code, reserved.content) == (404, b"")
        assert (await client.get("/admin/host/ping")).status_code == 200
        boom = await client.get("/api/boom")
        assert (boom.status_code, boom.content) == (500, b"")
        assert (await client.get("/api/token")).headers["vary"] == "Accept, Origin"
    await _wait_for(events, "ended 1", "started 2 try 2", "poisoned 2", "tick past due False")
    assert "started 2 try 3" not in events()
    assert host.output.count("host ready on") == 1
    assert f"azure-functions-runtime {version('azure-functions-runtime')}" in host.output
    assert "functions: http, run, run_poison, tick" in host.output
    # the bridge of azure-functions logs whole answers when the app sets the root logger to DEBUG, as this one did
    assert "very-secret" not in host.output


async def test_an_answer_over_a_kept_connection_does_not_wait_for_the_callers_acknowledgement(
    events: Events, start_host: StartHost
) -> None:
    """It would, for 40 ms, if head and body were sent apart without TCP_NODELAY; a new connection has no such wait."""
    url = await start_host(SAMPLE_APP).ready()
    kept, fresh = [], []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        await client.get("/")
        for _ in range(20):  # in turns, so that a loaded machine slows both
            kept.append((await client.get("/")).elapsed)
            fresh.append((await client.get("/", headers={"Connection": "close"})).elapsed)
            await client.get("/")  # the one that will be kept
    assert sorted(kept)[10] < 2 * sorted(fresh)[10]


async def test_every_line_of_an_invocation_has_its_id(queue: Queue, events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP)
    await host.ready()
    await queue.send('{"n": 1}')
    await _wait_for(events, "ended 1")
    await host.printed("Executed 'Functions.run'")
    (invocation_id,) = re.findall(r"of invocation (\S+)", host.output)
    lines = [line for line in host.lines if f"[{invocation_id}]" in line]
    assert [re.fullmatch(r"\d\d:\d\d:\d\d info (\S+) \[\S+\] \S+ .*", line)[1] for line in lines] == [  # type: ignore[index]
        "host.invoke",
        "sample",
        "host.invoke",
    ]


async def test_a_kill_leaves_the_message_to_the_next_host(queue: Queue, events: Events, start_host: StartHost) -> None:
    code = (
        "import asyncio; from datetime import timedelta; from pathlib import Path\n"
        "from tools.functions_host.host import Host\n"
        f"asyncio.run(Host(Path({str(SAMPLE_APP)!r}), port=0, lease=timedelta(seconds=2)).run())"
    )
    first = HostProcess(["-c", code], {})
    try:
        await first.ready()
        await queue.send('{"n": 1, "sleep": 3600}')
        await _wait_for(events, "started 1 try 1")
    finally:
        first.kill()
    assert await queue.count() == 1
    start_host(SAMPLE_APP)
    await _wait_for(events, "started 1 try 2")


async def test_a_stop_lets_running_invocations_end(
    queue: Queue, events: Events, start_host: StartHost, tmp_path: Path
) -> None:
    host = start_host(SAMPLE_APP, "--drain-seconds", "3600")
    url = await host.ready()
    await queue.send('{"n": 1, "hold": true}')
    await _wait_for(events, "started 1 try 1")
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client:
        request = asyncio.create_task(client.get("/api/slow"))
        await _wait_for(events, "slow")
        host.request_stop()
        await host.printed("stopping")
        await queue.send('{"n": 2}')
        (tmp_path / "events.go").touch()
        assert (await request).status_code == 200
    assert await host.ended() == 0
    assert events() == ["started 1 try 1", "slow", "ended 1"]
    (left,) = await queue.client.peek_messages(max_messages=5)
    assert left.dequeue_count == 0


async def test_at_the_deadline_invocations_are_cancelled_and_threads_left(queue: Queue, events: Events) -> None:
    code = (
        "from datetime import timedelta; from tools.functions_host import __main__, host\n"
        "host.CANCEL_GRACE = timedelta(hours=1)  # the clean-up may take as long as it takes\n"
        "__main__.main()"
    )
    host = HostProcess(["-c", code, str(SAMPLE_APP), "--port", "0", "--drain-seconds", "0.5"], {})
    try:
        await host.ready()
        await queue.send('{"n": 1, "sleep": 3600, "block": true}')
        await _wait_for(events, "started 1 try 1")
        host.request_stop()
        assert await host.ended() == 0
    finally:
        host.kill()
    assert events() == ["started 1 try 1", "released 1"]
    assert "cancelling 1 running invocations" in host.output
    assert await queue.count() == 0  # it returned after its clean-up, so its message is done


async def test_a_body_that_exits_ends_the_host_and_gives_its_message_back(
    queue: Queue, events: Events, start_host: StartHost
) -> None:
    host = start_host(SAMPLE_APP)
    await host.ready()
    await queue.send('{"n": 1, "exit": 0}')
    assert await host.ended() == 1
    assert "SystemExit(0)" in host.output
    (given_back,) = await queue.client.peek_messages(max_messages=5)
    assert '"exit": 0' in base64.b64decode(given_back.content).decode()
    # its count may be two: a poll under way can receive it again, and gives it back without running it
    assert [event for event in events() if event.startswith("started")] == ["started 1 try 1"]


async def test_a_task_that_exits_ends_the_host(queue: Queue, events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP)
    await host.ready()
    await queue.send('{"n": 1, "block": true, "interrupt": true}')
    assert await host.ended() == 1
    assert "the app ended the worker: KeyboardInterrupt()" in host.output


async def test_a_stalled_client_does_not_hold_the_end_up(events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, "--drain-seconds", "3600")
    url = httpx.URL(await host.ready())
    with socket.create_connection((url.host, url.port)) as stalled:
        stalled.sendall(b"POST /api/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        async with httpx.AsyncClient(base_url=url) as client:
            await client.get("/api/health")  # so that the half request was read
        host.request_stop()
        assert await host.ended() == 0


async def test_a_second_signal_ends_it_at_once(queue: Queue, events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, "--drain-seconds", "3600")
    await host.ready()
    await queue.send('{"n": 1, "sleep": 3600}')
    await _wait_for(events, "started 1 try 1")
    host.request_stop()
    await host.printed("stopping")
    host.request_stop()
    assert await host.ended() == 128 + signal.SIGTERM
    assert await queue.count() == 1


async def test_many_requests_at_once_and_slow_clients(events: Events, start_host: StartHost) -> None:
    url = await start_host(SAMPLE_APP).ready()
    address = (httpx.URL(url).host, httpx.URL(url).port)
    stalled = [socket.create_connection(address) for _ in range(50)]
    try:
        for half_sent in stalled[:25]:
            half_sent.sendall(b"POST /api/health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=None), timeout=180) as client:
            # each is answered when all have come: one after the other they would wait for ever
            answers = await asyncio.gather(*(client.get("/api/together?count=60") for _ in range(60)))
            assert {answer.status_code for answer in answers} == {200}
    finally:
        for client_socket in stalled:
            client_socket.close()


async def test_it_is_bound_to_the_loopback_address_only(events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP)
    port = httpx.URL(await host.ready()).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port or 0)).close()
    assert "bound to" not in host.output


async def test_another_address_must_be_asked_for(events: Events, start_host: StartHost) -> None:
    host = start_host(SAMPLE_APP, "--unsafe-bind", "127.0.0.2")
    url = await host.ready()
    assert url.startswith("http://127.0.0.2:")
    assert "bound to 127.0.0.2" in host.output
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/api/health")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"AzureFunctionsJobHost__extensions__http__routePrefix": "api"}, "template 'api//{*route}'"),
        ({"AzureFunctionsJobHost__extensions__queues__batchSize": "33"}, "extensions.queues.batchSize: 33 is out"),
        ({"QueuesConn": ""}, "storage connection 'QueuesConn' does not exist; set the app setting"),
        ({"QueuesConn": "nonsense"}, "the app setting QueuesConn "),
        ({"SAMPLE_SCHEDULE": "often"}, "cannot load the 'tick' function: "),
    ],
)
async def test_what_cannot_start_says_why(
    events: Events, start_host: StartHost, changes: dict[str, str], reason: str
) -> None:
    host = start_host(SAMPLE_APP, **changes)
    assert await host.ended() == 1
    (line,) = host.lines
    assert " error host " in line
    assert reason in line


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("app = 1", "ValueError: Could not find top level function app instances in function_app.py."),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'. Cannot find module."),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
async def test_an_app_that_cannot_be_indexed_ends_it_with_what_the_worker_says(
    events: Events, start_host: StartHost, tmp_path: Path, source: str, words: str
) -> None:
    app_dir = tmp_path / "app"
    shutil.copytree(SAMPLE_APP, app_dir, ignore=shutil.ignore_patterns("__pycache__"))
    (app_dir / "function_app.py").write_text(source)
    host = start_host(app_dir)
    assert await host.ended() == 1
    (at,) = [number for number, line in enumerate(host.lines) if f" error host {words}" in line]
    trace = host.lines[at + 1 :]
    assert trace
    assert all(line.startswith("    ") for line in trace if line), "the worker's own trace"


async def test_a_folder_without_functions_says_so(events: Events, start_host: StartHost, tmp_path: Path) -> None:
    app_dir = tmp_path / "app"
    shutil.copytree(SAMPLE_APP, app_dir, ignore=shutil.ignore_patterns("__pycache__"))
    (app_dir / "function_app.py").unlink()
    host = start_host(app_dir)
    assert await host.ended() == 1
    (line,) = host.lines
    assert str(app_dir) in line
    assert "function_app.py" in line


async def test_a_port_in_use_says_so(events: Events, start_host: StartHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host = HostProcess(["-m", "tools.functions_host", str(SAMPLE_APP), "--port", str(port)], {})
        assert await host.ended() == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose another --port" in host.output


async def test_settings_of_the_folder(queue: Queue, events: Events, start_host: StartHost, tmp_path: Path) -> None:
    app_dir = tmp_path / "app"
    shutil.copytree(SAMPLE_APP, app_dir, ignore=shutil.ignore_patterns("__pycache__"))
    values = {"SAMPLE_QUEUE": "from-the-file", "SAMPLE_SCHEDULE": "from-the-file", "ONLY_IN_FILE": "yes"}
    (app_dir / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    source = app_dir / "function_app.py"
    # the library at the root of the repository resolves from an app that is elsewhere
    source.write_text(source.read_text() + "\nimport queued_jobs\nassert os.environ['ONLY_IN_FILE'] == 'yes'\n")
    assert not app_dir.is_relative_to(ROOT)
    await start_host(app_dir).ready()
    await queue.send('{"n": 1}')
    await _wait_for(events, "ended 1")
