"""Bodies, parameters and messages that are wrong."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.integration.security.conftest import Attacks, Site, is_problem

JSON = {"Content-Type": "application/json"}
START = "/api/jobs/zip-builder"


def memory(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def send(site: Site, content: bytes, headers: dict[str, str] = JSON) -> httpx.Response:
    return site.call("ann", "POST", START, content=content, headers=headers)


@pytest.mark.parametrize("size", [65 * 1024, 900 * 1024])
def test_a19_bodies_that_are_too_large(signed: Site, attacks: Attacks, size: int) -> None:
    answer = send(signed, b'{"name": "' + b"x" * size + b'"}')
    assert is_problem(answer, 413)
    attacks.note("A19", f"a body of {size:,} bytes", [answer.status_code])


def test_a19_bodies_without_end(signed: Site, attacks: Attacks) -> None:
    pid = signed.host.pid
    assert pid is not None
    before = memory(pid)
    answer = send(signed, b"x" * 10_000_000)
    assert answer.status_code == 413
    parts = urlsplit(signed.host.page_url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) as raw:
        head = f"POST {START} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {signed.token('ann')}\r\n"
        raw.sendall(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        answered = b""
        try:
            for _ in range(20_000):  # 200 MB, if nobody stops it
                raw.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        except OSError:
            pass  # which is the end that the server puts to it
        try:
            answered = raw.recv(4096)
        except OSError:
            answered = b"closed"
    assert answered == b"closed" or b" 413 " in answered or not answered
    assert memory(pid) - before < 64 * 1024 * 1024
    assert signed.call("ann", "GET", "/api/jobs/mine").status_code == 200
    attacks.note("A19", "a body of 10 MB, and one in chunks without end", [413, 413])


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "text/json"])
def test_a20_other_kinds_of_content(signed: Site, attacks: Attacks, kind: str) -> None:
    answer = send(signed, b"{}", {"Content-Type": kind} if kind else {})
    assert is_problem(answer, 415)
    attacks.note("A20", f"Content-Type {kind or 'missing'}", [answer.status_code])


BODIES = {
    "A21": (
        400,
        [
            b"{",
            b"\xef\xbb\xbf{}",
            b"{} x",
            b'{"name": "a", "name": "b"}',
            b"\xff",
            b"'",
            b"{}{}",
            b'{"a":01}',
            b"undefined",
        ],
    ),
    "A22": (
        400,
        [b'{"x": NaN}', b'{"x": Infinity}', b'{"x": -Infinity}', b'{"x": 1e400}', b'{"x": ' + b"9" * 5_000 + b"}"],
    ),
    "A23": (400, [b"[" * 60_000, b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65]),
    "A24": (422, [b'{"name": "\\u0000"}', b'{"name": "\\ud800"}', b'{"name": "\\udfff x"}', b'{"\\u0000": 1}']),
    "A25": (
        422,
        [
            json.dumps({name: value}).encode()
            for name, value in {
                "status": "succeeded",
                "attempt": 0,
                "result": {},
                "id": "01a20f71-90cb-7027-842a-5ce2fd999aaa",
                "user_id": "x",
                "available_at": "2020-01-01T00:00:00Z",
                "version": 5,
                "max_attempts": 1_000_000,
                "priority": "high",
                "queue": "other",
                "kind": "other",
                "__proto__": {},
            }.items()
        ],
    ),
    "A31": (
        422,
        [
            json.dumps(body).encode()
            for body in [
                {"container": "$web"},
                {"container": "$logs"},
                {"container": "azure-webjobs-secrets"},
                {"container": "results"},
                {"container": "http://169.254.169.254/"},
                {"prefix": "http://169.254.169.254/"},
                {"prefix": "https://x.blob.core.windows.net/c/b?sig=abc"},
                {"prefix": "../other/"},
                {"prefix": "a/../../b"},
                {"prefix": "..\\x"},
                {"prefix": "\\\\server\\share"},
                {"prefix": "new\nline"},
                {"prefix": "x" * 401},
                {"prefix": ["a"]},
                {"prefix": None},
            ]
        ],
    ),
}


@pytest.mark.parametrize("row", BODIES)
def test_a21_to_a31_bodies(signed: Site, attacks: Attacks, row: str) -> None:
    status, bodies = BODIES[row]
    answers = []
    for body in bodies:
        answer = send(signed, body)
        assert is_problem(answer, status), (body[:60], answer.text)
        answers.append(answer.status_code)
    attacks.note(row, f"{len(bodies)} bodies", answers)


def test_a26_unknown_kinds(signed: Site, attacks: Attacks) -> None:
    answers = []
    for kind in (
        "nothing",
        "__import__",
        "..%2fx",
        "[]",
        "zip-builder%00",
        "ZIP-BUILDER",
        "zip-builder/",
        "%5b%22a%22%5d",
    ):
        answer = signed.call("ann", "POST", f"/api/jobs/{kind}", json={})
        assert is_problem(answer, 404, 405), (kind, answer.text)
        answers.append(answer.status_code)
    attacks.note("A26", "eight kinds that are none", answers)


def test_a27_idempotency_keys(signed: Site, attacks: Attacks) -> None:
    answers = []
    for key in ("k" * 300, "", "a\tb", "ü", "k" * 201):
        answer = signed.call("ann", "POST", START, json={}, headers={"Idempotency-Key": key.encode()})
        assert is_problem(answer, 400), (key, answer.text)
        answers.append(answer.status_code)
    headers = {"Idempotency-Key": "the same"}
    first = signed.call("ann", "POST", START, json={"prefix": "a"}, headers=headers)
    assert first.status_code == 202
    other = signed.call("ann", "POST", START, json={"prefix": "b"}, headers=headers)
    assert is_problem(other, 422)
    attacks.note("A27", "keys too long, empty, with a tab, beyond ASCII, reused", [*answers, other.status_code])


def test_a32_prefixes_stay_below_the_own_one(signed: Site, attacks: Attacks) -> None:
    answers = []
    for prefix in ("%2e%2e/", "", "   ", "/", "//evil", "....//", "a/./b", "~", "%00"):
        answer = signed.call("ann", "POST", START, json={"prefix": prefix})
        assert answer.status_code == 202 or is_problem(answer, 422), (prefix, answer.text)
        if answer.status_code == 202:
            job = finished(signed, answer.json()["id"])
            assert job["error"]["class"] == "NothingToZip", job
        answers.append(answer.status_code)
    attacks.note("A32", "nine prefixes, each run to its end", answers)


def finished(site: Site, key: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        job: dict[str, Any] = site.call("ann", "GET", f"/api/jobs/{key}").json()
        if job["finishedAt"]:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


@pytest.fixture(scope="module")
def zipped(signed: Site) -> tuple[str, str]:
    """A job of Ann's with a file, and a link to it."""
    files = [{"name": "a.txt", "size": 5}, {"name": "b.txt", "size": 5}]
    place = signed.call("ann", "POST", "/api/uploads", json={"files": files}).json()
    for target in place["files"]:
        httpx.put(target["url"], content=b"hello", headers=target["headers"], trust_env=False).raise_for_status()
    job = signed.start("ann", prefix=place["prefix"])
    assert finished(signed, job["id"])["status"] == "succeeded"
    return job["id"], signed.call("ann", "GET", f"/api/jobs/{job['id']}/download").json()["url"]


def test_a35_a_link_does_one_thing_only(signed: Site, zipped: tuple[str, str], attacks: Attacks) -> None:
    _, link = zipped
    assert httpx.get(link, trust_env=False).status_code == 200
    address, _, query = link.partition("?")
    container = address.rpartition("/")[0].rpartition("/")[0]
    tries = {
        "PUT": ("PUT", link),
        "DELETE": ("DELETE", link),
        "list": ("GET", f"{container}?restype=container&comp=list&{query}"),
        "another blob": ("GET", f"{address}x?{query}"),
        "an upload": ("GET", f"{container.rpartition('/')[0]}/uploads/x?{query}"),
        "changed end": ("GET", f"{address}?{query.replace('se=20', 'se=21')}"),
        "without": ("GET", address),
    }
    answers = []
    for name, (method, url) in tries.items():
        headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
        answer = httpx.request(method, url, headers=headers, trust_env=False)
        assert answer.status_code in (403, 404, 409), (name, answer.status_code)
        answers.append(answer.status_code)
    attacks.note("A35", "a download link for seven other things", answers)
    signature = query.partition("sig=")[2].partition("&")[0]
    with psycopg.connect(signed.stack.database_url) as connection:
        rows = connection.execute(
            "select j::text from queued_jobs.job j union all select a::text from queued_jobs.attempt a"
        )
        assert not any("sig=" in row[0] or signature in row[0] for row in rows)
    assert not any(signature in line for line in signed.host.last_lines)


def test_a36_a37_filters_of_admins(signed: Site, attacks: Attacks) -> None:
    queries = [
        "sort=id;drop table queued_jobs.job",
        "status=x' or 1=1--",
        "page=-1",
        "limit=1000000000",
        "limit=-1",
        "from=99999-01-01",
        "from=%ZZ",
        "kind=%00",
        "before=1.2",
        "before=9999999999999999999999999.0",
        "attemptsOver=9999999999999999999",
        f"text={'x' * 10_000}",
    ]
    answers = []
    for query in queries:
        answer = signed.call("admin", "GET", f"/api/admin/jobs?{query}")
        assert is_problem(answer, 422), (query, answer.text)
        answers.append(answer.status_code)
    attacks.note("A36", "twelve queries of the dashboard", answers)
    answers = []
    for text in ("%%%%", "_", "\\", "'", '"', "%' or 1=1--", "%25"):
        started = time.monotonic()
        answer = signed.call("admin", "GET", "/api/admin/jobs", params={"text": text})
        assert answer.status_code == 200, answer.text
        assert time.monotonic() - started < 5
        answers.append(answer.status_code)
        if len(text) > 1:  # which stands in no job
            assert answer.json()["items"] == []
    attacks.note("A37", "seven texts with characters that mean something to LIKE", answers)


def test_a43_forged_messages(signed: Site, attacks: Attacks) -> None:
    from azure.storage.queue import QueueClient

    job = signed.start("ann", prefix="forged")
    done = finished(signed, job["id"])
    storage: str = signed.stack.settings()["QueuesConn"]
    bodies = [
        b"",
        b"x",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 30_000,
        *(
            json.dumps({"v": 1, "id": key, "gen": gen}).encode()
            for key in (job["id"], "01a20f71-90cb-7027-842a-5ce2fd999aaa", "x", 5, None)
            for gen in (1, 2, 0, -1, 2**63, "1", 1.5, None)
        ),
    ]
    import base64

    with QueueClient.from_connection_string(storage, "zip-builder") as queue:
        for body in bodies:
            queue.send_message(base64.b64encode(body).decode())
        queue.send_message("no base64 !")
        deadline = time.monotonic() + 120
        while queue.get_queue_properties().approximate_message_count:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert finished(signed, job["id"]) == done
    attacks.note(
        "A43", "queue messages: garbage, forged, old and impossible generations", ["no effect"] * (len(bodies) + 1)
    )


def test_a44_what_the_state_does_not_allow(signed: Site, zipped: tuple[str, str], attacks: Attacks) -> None:
    key, _ = zipped
    answers = []
    for method, tail in (("POST", "/retry"), ("POST", "/cancel")):
        answer = signed.call("ann", method, f"/api/jobs/{key}{tail}")
        assert is_problem(answer, 409), answer.text
        answers.append(answer.status_code)
    attacks.note("A44", "retry of a succeeded job, cancel of an ended one", answers)
