"""Methods, paths, hosts, origins and sockets that are wrong."""

from __future__ import annotations

import re
import socket
import time
from urllib.parse import urlsplit

from tests.integration.security.conftest import Attacks, Site, is_problem
from tests.support.issuer import Issuer


def test_a41_pages_of_other_origins(site: Site, attacks: Attacks) -> None:
    answers = []
    own = site.host.page_url.rstrip("/")
    for origin in (
        "https://evil.example",
        "null",
        f"{own}.evil.example",
        own.replace("127.0.0.1", "127.0.0.1.evil.example"),
    ):
        for method in ("OPTIONS", "GET"):
            headers = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
            }
            answer = site.call("ann" if method == "GET" else None, method, "/api/jobs/mine", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            answers.append(answer.status_code)
    attacks.note("A41", "four origins, with and without a preflight", answers)


def test_a42_methods(site: Site, attacks: Attacks) -> None:
    known: dict[str, set[str]] = {}
    for method, path, _ in site.operations():
        known.setdefault(path, set()).add(method)
    # these have the form of a path with an id, and are none
    like_jobs = {path for path in known if re.fullmatch(r"/api/(admin/)?jobs/[^/]+", path) and "999aaa" not in path}
    assert like_jobs
    answers = []
    for path, methods in known.items():
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"} - methods:
            answer = site.call("ann", method, path, json={} if method in ("POST", "PUT", "PATCH") else None)
            expected = (403, 404, 405) if path in like_jobs else (405,)
            assert answer.status_code in expected, (method, path, answer.text)
            assert method == "HEAD" or is_problem(answer, *expected)
            if answer.status_code == 405:
                allowed = set(answer.headers["allow"].split(", "))
                assert allowed == methods or (path in like_jobs and allowed > methods), (method, path)
            answers.append(answer.status_code)
        # the host knows no such method, and answers itself
        assert site.call("ann", "TRACE", path).status_code == 404
    attacks.note("A42", "every route with every method that it lacks", answers)
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answer = site.call("ann", "POST", "/api/jobs/mine", headers={name: "GET"})
        assert is_problem(answer, 405)


def quickest(site: Site) -> float:
    """Return how many seconds the quickest of some requests took."""
    times = []
    for _ in range(10):
        started = time.monotonic()
        assert site.call("ann", "GET", "/api/jobs/mine").status_code == 200
        times.append(time.monotonic() - started)
    return min(times)


def test_a45_two_hundred_slow_sockets(signed: Site, attacks: Attacks) -> None:
    alone = quickest(signed)
    parts = urlsplit(signed.host.page_url)
    sockets = [socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) for _ in range(200)]
    try:
        for slow in sockets:
            slow.sendall(b"POST /api/jobs/packer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n")
        slowed = quickest(signed)
    finally:
        for slow in sockets:
            slow.close()
    assert slowed < 20 * alone
    attacks.note("A45", "200 sockets that never end their request; others are served", [200])


def test_a46_paths_of_others(site: Site, attacks: Attacks) -> None:
    paths = [
        "/.env",
        "/.git/config",
        "/admin/host/status",
        "/admin/host/ping/x",
        "/runtime/webhooks/durabletask",
        "/host.json",
        "/local.settings.json",
        "/functions/settings.py",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/api/docs",
        "/wp-login.php",
        "/..%2f..%2fetc/passwd",
        "/js/..%2f..%2ffunctions/settings.py",
        "/vendor/manifest.json",
        "/%2e%2e/%2e%2e/etc/passwd",
    ]
    answers = []
    for path in paths:
        answer = site.call(None, "GET", path)
        if path == "/admin/host/status":  # of the host, which listens on this machine alone
            continue
        assert answer.status_code in (401, 404), (path, answer.status_code)
        answers.append(answer.status_code)
    attacks.note("A46", "paths of hosts, frameworks and files", answers)


def test_odd_hosts_and_paths_are_no_errors_of_ours(signed: Site, attacks: Attacks) -> None:
    parts = urlsplit(signed.host.page_url)
    answers = []
    requests = [
        *(
            (b"/api/health", host)
            for host in (b"[::1", b"[", b"x:99999", b"x:abc", b"a/b", b"http://x", b"a b", b"\xff")
        ),
        *(
            (path, b"x")
            for path in (b"/%ff", b"/api/jobs/%ff", b"/%c0%ae", b"/api/jobs/%ed%a0%80", b"/%", b"/%zz", b"*")
        ),
    ]
    for path, host in requests:
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=30) as raw:
            raw.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
            status = int(raw.recv(100).split()[1])
        assert status in (400, 404), (path, host, status)
        answers.append(status)
    attacks.note("A46", "hosts and paths that are not a URL", answers)


def test_every_answer_has_the_headers(site: Site) -> None:
    for method, path in [
        ("GET", "/"),
        ("GET", "/nothing"),
        ("GET", "/api/jobs/mine"),
        ("PUT", "/api/jobs/mine"),
        ("GET", "/api/health"),
    ]:
        headers = site.call(None, method, path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "require-trusted-types-for 'script'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_pages_may_talk_to_where_tokens_come_from_and_nothing_else(signed: Site, invited: Site, issuer: Issuer) -> None:
    page = signed.call(None, "GET", "/")
    (allowed,) = re.findall(r"connect-src ([^;]*)", page.headers["content-security-policy"])
    common = re.findall(r"connect-src ([^;]*)", invited.call(None, "GET", "/").headers["content-security-policy"])
    assert allowed == f"{common[0]} {issuer.url} {issuer.token_origin}"
    for path in ("/dashboard.html", "/index.html"):
        assert signed.call(None, "HEAD", path).headers["content-security-policy"].count(issuer.token_origin) == 1
    for path in ("/api/health", "/js/demo-page/app.js", "/nothing.html"):
        assert issuer.token_origin not in signed.call(None, "GET", path).headers["content-security-policy"]
    # browsers keep the old policy with a page that they are told has not changed
    etag = invited.call(None, "GET", "/").headers["etag"]
    assert signed.call(None, "GET", "/", headers={"If-None-Match": etag}).status_code == 200
    same = signed.call(None, "GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
