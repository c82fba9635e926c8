"""The running local system under attack: two sites over the same jobs, one with invite links and one with OIDC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.plugins.findings import Attacks as Attacks
from tests.support.issuer import Issuer
from tests.support.product import running_product
from tools.local_stack.app_servers import HostServer
from tools.local_stack.stack import Stack

ROOT = Path(__file__).resolve().parents[3]
#: Attacks are many in a minute; the limits have tests of their own, with hosts of their own.
ROOM = {"MAX_WRITES_PER_MINUTE": "100000", "MAX_ACTIVE_JOBS": "100000", "MAX_JOBS_PER_DAY": "100000"}


class Site:
    """One running host, and people with tokens."""

    def __init__(self, host: HostServer, stack: Stack, issuer: Issuer | None = None) -> None:
        self.host = host
        self.stack = stack
        self.issuer = issuer
        self.http = httpx.Client(base_url=host.page_url, trust_env=False, timeout=60)
        self._tokens: dict[str, str] = {}
        self.document: dict[str, Any] = self.http.get("/api/openapi.json").json()

    def token(self, who: str) -> str:
        """Everyone named here is somebody else; `admin` and `viewer` have these roles."""
        if who not in self._tokens:
            role = who if who in ("admin", "viewer") else "user"
            if self.issuer is not None:
                self._tokens[who] = self.issuer.token(who, roles=[role])
            else:
                invite = self.stack.admin_url.partition("=")[2] if role == "admin" else self.stack.invite
                answer = self.http.post("/api/session", json={"invite": invite})
                self._tokens[who] = answer.raise_for_status().json()["token"]
        return self._tokens[who]

    def call(self, who: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {})
        if who is not None:
            headers = {"Authorization": f"Bearer {self.token(who)}", **headers}
        return self.http.request(method, path, headers=headers, **options)

    def start(self, who: str, **body: Any) -> dict[str, Any]:
        answer = self.call(who, "POST", "/api/jobs/packer", json=body)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def user_id(self, who: str) -> str:
        """Return who this is in rows and to the hub."""
        token = self.call(who, "POST", "/api/negotiate").raise_for_status().json()["accessToken"]
        name: str = jwt.decode(token, options={"verify_signature": False})["nameid"]
        return name

    def close(self) -> None:
        self.http.close()

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """All routes of the document: method, path with parameters filled in, and what the document says."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                filled = path.replace("{part}", "request").replace("{queue}", "packer").replace("{kind}", "packer")
                yield method.upper(), filled.replace("{job_id}", "01a20f71-90cb-7027-842a-5ce2fd999aaa"), operation


@pytest.fixture(scope="session")
def system() -> Iterator[Stack]:
    with running_product() as stack:
        yield stack


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


def another_host(stack: Stack, **changes: str) -> HostServer:
    """Return one more host over the same database, queues and hub, with settings of its own."""
    return HostServer(lambda: {**stack.settings(), **changes}, app=stack.app)


@contextmanager
def running(host: HostServer) -> Iterator[HostServer]:
    host.start()
    try:
        yield host
    finally:
        host.stop()


@pytest.fixture(scope="session")
def invited(system: Stack) -> Iterator[Site]:
    """The site with invite links."""
    with running(another_host(system, **ROOM)) as host, closing(Site(host, system)) as site:
        yield site


@pytest.fixture(scope="session")
def signed(system: Stack, issuer: Issuer) -> Iterator[Site]:
    """The site with OIDC."""
    with running(another_host(system, **ROOM, **issuer.settings)) as host, closing(Site(host, system, issuer)) as site:
        yield site


@pytest.fixture(scope="session", params=["invite", "oidc"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of both sites."""
    found: Site = request.getfixturevalue("invited" if request.param == "invite" else "signed")
    return found


def is_problem(answer: httpx.Response, *statuses: int) -> bool:
    """Return whether this is a problem document with one of these statuses, which says nothing about the inside."""
    assert answer.headers.get("content-type") == "application/problem+json", (answer.status_code, answer.text[:300])
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "requestId"}
    assert problem["status"] == answer.status_code
    for inside in ("Traceback", "psycopg", "select ", "queued_jobs.", ".py", "/site-packages", "AccountKey"):
        assert inside not in answer.text.replace(problem["instance"], ""), answer.text
    return answer.status_code in statuses
