"""Bodies that are too large, of another kind, or no plain JSON."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.security.conftest import Attacks, Site, is_problem

JSON = {"Content-Type": "application/json"}
START = "/api/jobs/packer"


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
        head = f"POST {START} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {signed.token('ann')}\r\n"
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


OTHER_KINDS = [
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "",
    "text/json",
    "*/*",
    "application/x-www-form-urlencoded",
    "application/problem+json",
    "application/json, text/plain",
    "text/plain; application/json",
    "application /json",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    'application/json; x=y; charset="latin-1"',
]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a20_other_kinds_of_content(signed: Site, attacks: Attacks, kind: str) -> None:
    answer = send(signed, b"{}", {"Content-Type": kind} if kind else {})
    assert is_problem(answer, 415)
    attacks.note("A20", f"Content-Type {kind or 'missing'}", [answer.status_code])


def test_a20_content_that_is_packed(signed: Site, attacks: Attacks) -> None:
    answers = []
    bomb = gzip.compress(b" " * 20_000_000 + b"{}")
    for encoding, content in {"gzip": gzip.compress(b"{}"), "GZIP": bomb, "deflate": b"{}", "br, gzip": b"{}"}.items():
        answer = send(signed, content, {**JSON, "Content-Encoding": encoding})
        assert is_problem(answer, 415), (encoding, answer.text)
        answers.append(answer.status_code)
    for kind in ("application/json; charset=utf-8", "APPLICATION/JSON;Charset=UTF8", "application/json; x=y"):
        answer = send(signed, b'{"name": 5}', {"Content-Type": kind, "Content-Encoding": "identity"})
        assert is_problem(answer, 422), (kind, answer.text)
    attacks.note("A20", "bodies that are packed, or say so", answers)


def test_a19_a_body_that_nobody_reads_is_no_larger(signed: Site, attacks: Attacks) -> None:
    answers = []
    for path in ("/api/negotiate", "/api/jobs/clear-finished", "/api/jobs/01a20f71-90cb-7027-842a-5ce2fd999aaa/retry"):
        answer = signed.call("ann", "POST", path, content=b"x" * 70_000)
        assert is_problem(answer, 413), path
        answers.append(answer.status_code)
    attacks.note("A19", "70 KB to routes that want no body", answers)


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
            b'{"a": {"b": 1, "c": [{"d": 1, "d": 2}]}}',
            b'{"name": "a", "\\u006eame": "b"}',
            b'{"a": {"b": 1, "\\u0062": 2}}',
            b'{"name": "a",}',
            b"{}//x",
            b"{}/*x*/",
            b"{}\0",
            b"\xc2\xa0{}",
            b'{"name": "a\nb"}',
            b'{"name": "\\x41"}',
            b'{"name": "\xc0\xaf"}',
            b'{"name": "\xed\xa0\xbd\xed\xb8\x80"}',
            b"   ",
            *('{"prefix":"a"}'.encode(code) for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig")),
        ],
    ),
    "A22": (
        400,
        [
            *(b'{"x": %b}' % word for word in (b"NaN", b"Infinity", b"-Infinity", b"-NaN", b"nan", b"inf")),
            *(b'{"x": %b}' % word for word in (b"1e400", b"-1e309", b"1e99999999999", b"9" * 5_000, b"-" + b"9" * 101)),
            *(b'{"x": %b}' % word for word in (b"+1", b".5", b"5.", b"0x1", b"1_000", "\u0663".encode())),
        ],
    ),
    "A23": (
        400,
        [
            b"[" * 60_000,
            b"[" * 65 + b"]" * 65,
            b'{"a":' * 65 + b"1" + b"}" * 65,
            b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
            b"[" * 30_000 + b"]" * 30_000,
            b"]" * 60_000,
        ],
    ),
    "A24": (
        422,
        [
            b'{"name": "\\u0000"}',
            b'{"name": "\\ud800"}',
            b'{"name": "\\udfff x"}',
            b'{"name": "\\udc00\\ud800"}',
            b'{"\\u0000": 1}',
            b'{"\\ud800": 1}',
            b'{"a": [{"b\\u0000c": {"d\\udfff": 1}}]}',
            b'{"name": "sealed:1:AAAA"}',
            b'{"a": [["sealed:1:"]]}',
        ],
    ),
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
                "Prefix": "a",
                "": 1,
                "prefix.": "a",
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
                {"container": "Uploads"},
                {"container": "uploads/../results"},
                {"container": "uploads "},
                {"container": ["uploads"]},
                {"container": None},
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
