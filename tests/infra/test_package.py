"""Publishing: what passes is repeated, what stays wrong is told, and no older deployment is taken for the new one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from pulumi.runtime.rpc import UNKNOWN

from infra.publish import scm_site
from infra.publish.bundle import VERSION_FILE
from infra.publish.resource import PackageChanged, _PackageProvider, wait_until_it_runs
from infra.publish.scm_site import PublishFailed, ScmSite
from tools.rehearsal import scm_site as stand_in
from tools.rehearsal.scm_site import CONFLICT, FAILED, ROLE_LAG, Reply
from tools.rehearsal.tokens import TokenEndpoint

PARTIAL_SUCCESS = 6


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    yield endpoint
    endpoint.close()


@pytest.fixture
def site(tokens: TokenEndpoint) -> Iterator[stand_in.ScmSite]:
    site = stand_in.ScmSite(tokens)
    yield site
    site.close()


class Time:
    """Passes at once, and is counted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def clock(self) -> float:
        return self.now


def a_zip(version: str = "x") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(VERSION_FILE, version)
    return content.getvalue()


def publish(site: stand_in.ScmSite, time: Time | None = None, *, version: str = "x") -> str:
    time = time or Time()
    token = site.tokens.token_for(stand_in.AUDIENCE)
    with ScmSite(site.url, token=lambda: token, sleep=time.sleep, clock=time.clock) as client:
        return client.publish(a_zip(version))


def test_the_new_deployment_is_waited_for(site: stand_in.ScmSite) -> None:
    assert publish(site) == "deployment-1"
    # the list has the older one first
    assert publish(site) == "deployment-2"
    assert site.violations == []


@pytest.mark.parametrize("status", [403, 404, 409, 429, 500, 502, 503])
def test_what_passes_is_repeated(site: stand_in.ScmSite, status: int) -> None:
    site.replies.extend([Reply(status=status), Reply(status=status), Reply(status=400, body=ROLE_LAG)])
    assert publish(site) == "deployment-1"
    assert site.refused == 3


@pytest.mark.parametrize(("status", "words"), [(400, "not a role lag"), (413, "too large"), (422, "422")])
def test_what_stays_wrong_is_told_at_once(site: stand_in.ScmSite, status: int, words: str) -> None:
    site.replies.append(Reply(status=status, body="not a role lag" if status == 400 else ""))
    with pytest.raises(PublishFailed, match=words):
        publish(site)
    assert site.refused == 1
    assert site.deployments == []


def test_a_new_site_that_knows_no_token_yet_is_asked_again(site: stand_in.ScmSite) -> None:
    site.replies.extend([Reply(status=401)] * 2)
    assert publish(site) == "deployment-1"
    site.replies.extend([Reply(status=401)] * scm_site.ATTEMPTS)
    with pytest.raises(PublishFailed, match="tenant"):
        publish(site)


def test_a_container_that_the_app_may_not_read_yet_is_waited_for(site: stand_in.ScmSite) -> None:
    site.replies.append(Reply(ends_as=FAILED, log="403 AuthorizationPermissionMismatch"))
    assert publish(site) == "deployment-2"


ODD = [
    httpx.Response(200, text="<html>Service starting</html>"),
    httpx.Response(200, text=""),
    httpx.Response(200, json={"error": "no list"}),
    httpx.Response(200, json=[{"status": 4}]),
    httpx.Response(200, json=None),
]


def odd_site(odd: httpx.Response, at: int, times: int) -> httpx.MockTransport:
    """A site that deploys, and whose answers from that number on are odd."""
    numbers, polls, posts = count(), count(), count()
    posted: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            posted.append(next(posts))
            return httpx.Response(202)
        if at <= next(numbers) < at + times:
            return httpx.Response(odd.status_code, content=odd.content)
        if request.url.path.endswith("/1"):
            return httpx.Response(200, json={"id": "1", "status": 4 if next(polls) else 99})
        return httpx.Response(200, json=[{"id": "1", "status": 1}] if posted else [])

    return httpx.MockTransport(answer)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.text or "nothing")
@pytest.mark.parametrize(
    "at", range(4), ids=["the list before", "the list afterwards", "how it goes on", "how it ended"]
)
def test_an_answer_of_another_shape_is_asked_for_again(odd: httpx.Response, at: int) -> None:
    time = Time()
    for times in (1, scm_site.ATTEMPTS):
        client = ScmSite(
            "http://127.0.0.1",
            token=lambda: "t",
            transport=odd_site(odd, at, times),
            sleep=time.sleep,
            clock=time.clock,
        )
        with client, contextlib.nullcontext() if times == 1 else pytest.raises(PublishFailed):
            assert client.publish(a_zip()) == "1"


def test_what_never_passes_ends(site: stand_in.ScmSite) -> None:
    site.replies.extend([Reply(status=403)] * scm_site.ATTEMPTS)
    with pytest.raises(PublishFailed, match="Contributor"):
        publish(site)
    assert site.refused == scm_site.ATTEMPTS


@pytest.mark.parametrize(("ends_as", "words"), [(FAILED, "ended as failed"), (PARTIAL_SUCCESS, "partial success")])
def test_a_failed_deployment_shows_its_log(site: stand_in.ScmSite, ends_as: int, words: str) -> None:
    site.replies.append(Reply(ends_as=ends_as))
    with pytest.raises(PublishFailed, match=words) as caught:
        publish(site)
    assert "could not unpack" in str(caught.value)


def test_a_deployment_in_the_way_is_waited_for(site: stand_in.ScmSite) -> None:
    time = Time()
    site.replies.append(Reply(ends_as=CONFLICT))
    assert publish(site, time) == "deployment-2"
    assert scm_site.PAUSE.total_seconds() in time.pauses


def test_a_deployment_that_never_ends_is_given_up(site: stand_in.ScmSite) -> None:
    site.replies.append(Reply(ends_as=stand_in.DEPLOYING))
    with pytest.raises(PublishFailed, match="still deploying after 20 minutes"):
        publish(site)


def test_a_deployment_that_does_not_appear_is_given_up() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(202) if request.method == "POST" else httpx.Response(200, json=[])

    time = Time()
    with (
        ScmSite(
            "http://127.0.0.1",
            token=lambda: "t",
            transport=httpx.MockTransport(answer),
            sleep=time.sleep,
            clock=time.clock,
        ) as client,
        pytest.raises(PublishFailed, match="no deployment appeared within 120 s"),
    ):
        client.publish(a_zip())


def test_a_site_without_a_name_yet_is_waited_for() -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if len(calls) < 3:
            raise httpx.ConnectError("no such host")
        return httpx.Response(
            200, json={"id": "1", "status": 4} if calls[-1].endswith("/1") else [{"id": "1", "status": 4}]
        )

    time = Time()
    client = ScmSite(
        "http://127.0.0.1", token=lambda: "t", transport=httpx.MockTransport(answer), sleep=time.sleep, clock=time.clock
    )
    with client, pytest.raises(PublishFailed, match="no deployment appeared"):
        client.publish(a_zip())  # whose only deployment is an older one
    assert time.pauses[:2] == [scm_site.PAUSE.total_seconds()] * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(503, text="the database is down"), "status 503 the database is down"),
        (httpx.Response(503, json={"version": "new"}), "not healthy"),
        (httpx.Response(200, json={"version": "old"}), r"\(old\)"),
        (httpx.Response(200, json={"status": "ok"}), "without a version"),
        (httpx.Response(200, text="<html>"), "without a version"),
    ],
)
def test_an_app_that_never_runs_the_new_code_is_told(answer: httpx.Response, words: str) -> None:
    time = Time()
    transport = httpx.MockTransport(lambda _request: answer)
    with pytest.raises(PublishFailed, match=f"after 10 minutes .*{words}.*run `pulumi up` again") as caught:
        wait_until_it_runs(
            "new", "http://127.0.0.1/api/health", transport=transport, sleep=time.sleep, clock=time.clock
        )
    assert len(str(caught.value).splitlines()) == 1
    assert time.now == pytest.approx(10 * 60, abs=5)


def test_an_answer_of_the_older_code_is_none_of_the_new_code(site: stand_in.ScmSite) -> None:
    publish(site, version="old")
    site.late_replies = 3
    publish(site, version="new")
    time = Time()
    wait_until_it_runs("new", f"{site.url}/api/health", sleep=time.sleep, clock=time.clock)
    assert site.late_replies == 0
    assert len(time.pauses) == 3


def test_the_resource_publishes_what_it_was_told_of(site: stand_in.ScmSite, tmp_path: Path) -> None:
    path = tmp_path / "app.zip"
    path.write_bytes(a_zip())
    props: dict[str, Any] = {
        "scm_url": site.url,
        "app_id": "/subscriptions/x/app",
        "zip_path": str(path),
        "digest": hashlib.sha256(path.read_bytes()).hexdigest(),
        "version": "x",
        "health_url": f"{site.url}/api/health",
        "deployment_id": None,
    }
    created = _PackageProvider().create(props)
    assert created.outs is not None
    assert created.outs["deployment_id"] == "deployment-1"
    updated = _PackageProvider().update(created.id, created.outs, props)
    assert updated.outs is not None
    assert updated.outs["deployment_id"] == "deployment-2"
    path.write_bytes(a_zip("y"))
    with pytest.raises(PackageChanged, match="Run `pulumi up` again"):
        _PackageProvider().create(props)
    path.unlink()
    with pytest.raises(PackageChanged, match=r"app.zip.*Run `pulumi up` again"):
        _PackageProvider().create(props)
    assert len(site.deployments) == 2


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        ({}, False),
        ({"zip_path": "/elsewhere/app.zip", "health_url": "http://other", "version": "b"}, False),
        ({"digest": "b"}, True),
        ({"app_id": UNKNOWN}, True),
        ({"scm_url": "https://other"}, True),
    ],
)
def test_only_code_and_app_make_a_difference(change: dict[str, Any], changes: bool) -> None:
    olds = {"scm_url": "https://a", "app_id": "a", "zip_path": "a", "digest": "a", "health_url": "http://a"}
    assert _PackageProvider().diff("a", olds, olds | change).changes is changes
