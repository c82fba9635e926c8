"""What only raw sockets send: headers twice, odd targets, two lengths, and characters that steer terminals."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.integration.security.conftest import Attacks, Site
from tests.support.waiting import wait_until

MINE = b"GET /api/jobs/mine HTTP/1.1"
SEEN = b"POST /api/jobs/seen HTTP/1.1"
JSON = b"Content-Type: application/json"


def sent(site: Site, first: bytes, *headers: bytes, body: bytes = b"") -> list[int]:
    """Send these very bytes and return the statuses of all answers until the server closes."""
    parts = urlsplit(site.host.page_url)
    host = f"Host: {parts.netloc}".encode()
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60) as raw:
        raw.sendall(b"\r\n".join([first, host, *headers, b"Connection: close", b"", b""]) + body)
        answered = b""
        try:
            while piece := raw.recv(65_536):
                answered += piece
        except ConnectionResetError:  # it does not read to the end what it has refused
            pass
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answered)]
    assert statuses, (first, headers)
    assert not any(status >= 500 for status in statuses), (first, headers, answered[:300])
    return statuses


def bearer(site: Site, who: str) -> bytes:
    return b"Authorization: Bearer " + site.token(who).encode()


def test_a1_what_is_not_exactly_one_bearer_token(site: Site, attacks: Attacks) -> None:
    ann, admin = (site.token(who).encode() for who in ("ann", "admin"))
    own = bearer(site, "ann")
    forms = {
        "twice": [own, own],
        "of two people": [own, bearer(site, "admin")],
        "nonsense first": [b"Authorization: Bearer x", own],
        "another scheme first": [b"Authorization: Basic YTpi", own],
        "joined by a comma": [own + b", Bearer " + admin],
        "with a comma": [own + b","],
        "in quotes": [b'Authorization: Bearer "' + ann + b'"'],
        "as a parameter": [b"Authorization: Bearer token=" + ann],
        "without a scheme": [b"Authorization: " + ann],
        "of another scheme": [b"Authorization: Token " + ann],
        "after a tab": [b"Authorization: Bearer\t" + ann],
        "after a space of another sort": [b"Authorization: Bearer\xa0" + ann],
        "for a proxy": [b"Proxy-Authorization: Bearer " + ann],
        "as a variable of CGI": [b"HTTP_AUTHORIZATION: Bearer " + ann],
        "in a cookie": [b"Cookie: token=" + ann + b"; Authorization=" + ann],
        "of 60 KB": [b"Authorization: Bearer " + b"a" * 60_000],
        "no ASCII": [b"Authorization: Bearer \xc3\xa9"],
    }
    answers = []
    for name, headers in forms.items():
        assert sent(site, MINE, *headers) == [401], name
        answers.append(401)
    for parameter in (b"access_token", b"token", b"code", b"authorization"):
        assert sent(site, b"GET /api/jobs/mine?" + parameter + b"=" + ann + b" HTTP/1.1") == [401], parameter
        answers.append(401)
    trailing = [JSON, b"Transfer-Encoding: chunked", b"Trailer: Authorization"]
    assert sent(site, SEEN, *trailing, body=b"2\r\n{}\r\n0\r\n" + bearer(site, "admin") + b"\r\n\r\n") == [401]
    for form in (b"bearer ", b"BEARER ", b"Bearer  "):
        assert sent(site, MINE, b"authorization: " + form + ann + b" ") == [200]
    attacks.note("A1", "a right token in 22 wrong forms and places", [*answers, 401])


GUARDED = [
    b"/api/jobs/mine/",
    b"//api/jobs/mine",
    b"/api//jobs/mine",
    b"/API/JOBS/MINE",
    b"/api/jobs/MINE",
    b"/api/jobs/mine;x=1",
    b"/api/jobs;/mine",
    b"/api/x/..;/jobs/mine",
    b"/api/health/../jobs/mine",
    b"/api/health/%2e%2e/jobs/mine",
    b"/api/health/..%2fjobs/mine",
    b"/api%2fjobs%2fmine",
    b"/%61pi/jobs/%6d%69ne",
    b"/api/jobs/%256dine",
    b"/api/jobs/mine%00",
    b"/api/jobs/mine%0a",
    b"/api/jobs/mine%20",
    b"/api/jobs/mine.json",
    b"/api/jobs/mine%3f",
    b"/api\\jobs\\mine",
    b"/api/jobs/mine?x#y",
    b"/api/./admin/jobs",
    b"/api/jobs/..%2fadmin%2fjobs",
    b"/api/admin/jobs%2ecsv",
    b"/api/admin/jobs%0a",
    b"/api/admin;a=b/jobs",
    b"/Api/Admin/jobs",
    b"/api/admin/queues/..%2fx/redrive",
    b"http://evil.example/api/jobs/mine",
    b"https://x/api/admin/jobs",
    b"api/admin/jobs",
    b"\\api\\admin\\jobs",
    b"*",
    b"/" + b"a" * 60_000,
    b"/api/jobs/mine?" + b"limit=1&" * 5_000,
]


def test_a46_other_spellings_of_a_path_open_no_door(site: Site, attacks: Attacks) -> None:
    answers = []
    for target in GUARDED:
        line = b"GET " + target + b" HTTP/1.1"
        (stranger,) = sent(site, line)
        assert stranger in (400, 401, 404, 405), target[:80]
        (user,) = sent(site, line, bearer(site, "ann"))
        assert user in ((400, 403, 404, 405) if b"admin" in target.lower() else (200, 400, 404, 405)), target[:80]
        answers += [stranger, user]
    attacks.note("A46", "35 spellings of guarded paths, without a token and as a user", answers)


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND", "get", "FOO", "G" * 5_000])
def test_a42_methods_that_nobody_knows(signed: Site, attacks: Attacks, method: str) -> None:
    answers = []
    for path in (b"/", b"/api/jobs/mine", b"/api/health"):
        (status,) = sent(signed, method.encode() + b" " + path + b" HTTP/1.1", bearer(signed, "ann"))
        assert status in (400, 404, 405, 501), path
        answers.append(status)
    attacks.note("A42", f"method {method[:10]}", answers)


LENGTHS: list[tuple[bytes, bytes, set[int]]] = [
    (b"Content-Length: 2\r\nContent-Length: 3", b"{}x", {400}),
    (b"Content-Length: -1", b"{}", {400}),
    (b"Content-Length: +2", b"{}", {400}),
    (b"Content-Length: 0x2", b"{}", {400}),
    (b"Content-Length: 2, 2", b"{}", {400, 422}),
    (b"Content-Length: " + b"9" * 30, b"{}", {400}),
    (b"Transfer-Encoding: xchunked", b"0\r\n\r\n", {400}),
    (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n", {400}),
    (b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n", {400}),
    (b"Transfer-Encoding : chunked", b"0\r\n\r\n", {400}),
    (b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n", {400}),
    (b"Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n", {400}),
    (b"Transfer-Encoding: chunked", b"-2\r\n{}\r\n0\r\n\r\n", {400}),
    (b"Transfer-Encoding: chunked", b"2;x=y\r\n{}\r\n0\r\n\r\n", {422}),
    (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n", {400, 422}),
]


def test_a19_lengths_that_contradict(signed: Site, attacks: Attacks) -> None:
    answers = []
    smuggled = b"GET /api/admin/jobs HTTP/1.1\r\nHost: x\r\n\r\n"
    for length, body, expected in LENGTHS:
        first, *later = sent(signed, SEEN, bearer(signed, "ann"), JSON, length, body=body + smuggled)
        assert first in expected, (length, body, first)
        assert set(later) <= {400, 401}, (length, later)
        answers.append(first)
    attacks.note("A19", f"{len(LENGTHS)} lengths that are none or contradict", answers)


def test_large_headers(signed: Site, attacks: Attacks) -> None:
    answers = []
    for headers in (
        [b"X: " + b"a" * 64_000],
        [b"X: " + b"a" * 2_000_000],
        [b"X-%d: a" % number for number in range(9_000)],
    ):
        (status,) = sent(signed, MINE, bearer(signed, "ann"), *headers)
        assert status in (200, 400, 431)
        answers.append(status)
    assert signed.call("ann", "GET", "/api/jobs/mine").status_code == 200
    attacks.note("A19", "headers of 64 KB and 2 MB, and 9,000 of them", answers)


def test_a40_nobody_writes_lines_into_the_log_or_steers_who_reads_it(signed: Site, attacks: Attacks) -> None:
    forged = b"/forged%0a12:00:00%20info%20all%20is%20well%0d%1b[31m%c2%9b31m%e2%80%ae"
    sent(signed, b"GET " + forged + b" HTTP/1.1")
    found: list[str] = []

    def is_logged() -> bool:
        found[:] = [line for line in signed.host.last_lines if "all is well" in line]
        return bool(found)

    wait_until(is_logged, "it is logged")
    (line,) = found
    assert "/forged\\n12:00:00 info all is well\\r\\x1b[31m\\x9b31m\\u202e" in line
    assert line.isprintable()
    attacks.note("A40", "a path with line breaks, ANSI and bidi characters in the log", ["escaped"])
