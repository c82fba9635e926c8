"""Client of Azure SignalR Service: sends pushes and issues client tokens, with an access key or an identity."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Self
from urllib.parse import quote, urlencode
from urllib.request import getproxies

import aiohttp
from yarl import URL

from queued_jobs import telemetry
from queued_jobs._per_loop import PerLoop, tls_context
from queued_jobs.announcements import close_outbox
from queued_jobs.chunks import Segment
from queued_jobs.errors import JobsError
from queued_jobs.identity import SIGNALR_SCOPE, Keyless, NoToken
from queued_jobs.model import Changed, QueuedJob
from queued_jobs.offload import offload_unless_small
from queued_jobs.push.limited_transport import MAX_RESPONSE_BYTES
from queued_jobs.push.nudges import Nudges
from queued_jobs.push.signing import Signer
from queued_jobs.push.view import JobView, SegmentView, texts_of
from queued_jobs.registry import JobRegistry
from queued_jobs.urls import is_origin, is_port

API_VERSION = "2022-11-01"  # the first that can issue client tokens
#: Group of the application's admins, who are notified when any job changes.
ADMINS = "admins"

_PUSH_TIMEOUT = 2.0
_MAX_FAILURES = 3
#: Maximum lifetime of a browser's connection.
_CLIENT_TOKEN_LIFE = timedelta(hours=1)
#: Views in one push, and their characters, so that it stays below the service's limit of 1 MB.
_VIEWS_A_PUSH, _MAX_PUSH = 50, 250_000
_IDS_A_PUSH = 5_000


class PushFailed(JobsError):
    """The hub did not accept a push."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionString:
    """The endpoint of the service and its access key."""

    endpoint: str
    access_key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `Endpoint=...;AccessKey=...;Port=...;`. Raises `ValueError`, never quoting the key."""
        parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        values = {name.strip().lower(): value.strip() for name, value in parts.items()}
        for name in ("Endpoint", "AccessKey"):
            if not values.get(name.lower()):
                raise ValueError(f"The SignalR connection string has no {name}; copy it from the service's Keys page.")
        endpoint = values["endpoint"].rstrip("/")
        if not is_origin(endpoint):
            raise ValueError("The Endpoint of the SignalR connection string is not an http(s) address.")
        if "port" in values:
            if not is_port(values["port"]):
                raise ValueError("The Port of the SignalR connection string is not a number.")
            endpoint = f"{endpoint}:{values['port']}"
        return cls(endpoint=endpoint, access_key=values["accesskey"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAccess:
    """The URL and token with which a SignalR client connects."""

    url: str
    access_token: str


class SignalRNotifier:
    """`Notifier` over the service's REST API, with an access key or an identity. Connects on first use.

    Owners get the public view of each change, and what their jobs emit. Admins get the ids of changed jobs, as `nudge`,
    at most once a second. Raises `PushFailed` if the service refuses, is unavailable, or takes longer than two seconds.
    """

    def __init__(self, connection: ConnectionString | Keyless, registry: JobRegistry, *, hub: str = "jobs") -> None:
        self._connection = connection
        self._access = connection if isinstance(connection, Keyless) else Signer(connection.access_key)
        self._registry = registry
        self._hub = hub.lower()
        self._sessions = PerLoop(_make_session, close=aiohttp.ClientSession.close)
        self._nudges = PerLoop(lambda: Nudges(self._nudge), close=Nudges.close)

    @property
    def endpoint(self) -> str:
        return self._connection.endpoint

    async def job_changed(self, *jobs: QueuedJob) -> None:
        """Push `job` with the public views to the owners, one push per owner.

        Stops after three failed pushes in a row, since each may take two seconds.
        """
        self._nudges.get().add(str(job.id) for job in jobs)
        failed: PushFailed | None = None
        in_a_row = 0
        for user_id in dict.fromkeys(job.user_id for job in jobs):
            if in_a_row == _MAX_FAILURES:
                break
            own = [job for job in jobs if job.user_id == user_id]
            bodies = await offload_unless_small([texts_of(job) for job in own], self._bodies, own)
            try:
                for body in bodies:
                    await self._send(_user(user_id), "job", body)
                in_a_row = 0
            except PushFailed as exc:
                failed = exc  # the pushes of other owners may succeed
                in_a_row += 1
        if failed is not None:
            raise failed

    async def jobs_removed(self, user_id: str, changes: Sequence[Changed]) -> None:
        """Push `removed` with the ids and versions to the owner."""
        self._nudges.get().add(str(one.id) for one in changes)
        removed = [{"id": str(one.id), "version": one.version} for one in changes]
        for start in range(0, len(removed), _IDS_A_PUSH):
            body = _body("removed", [_to_json(removed[start : start + _IDS_A_PUSH])])
            await self._send(_user(user_id), "removed", body)

    async def output_appended(self, user_id: str, segment: Segment) -> None:
        """Push `chunks` with what a job has emitted to the owner; admins are not told."""
        view = await offload_unless_small([one.text for one in segment.chunks], SegmentView.dump, segment)
        await self._send(_user(user_id), "chunks", _body("chunks", [view]))

    async def admit(self, user_id: str, *, until: float) -> ClientAccess:
        """Return the hub URL and a token bound to this user's id, valid `until` (Unix seconds).

        With an access key the service closes the connection when the token expires. With an identity the service issues
        the token, which can be used until then, and the connection may outlive it.
        """
        url = f"{self._connection.endpoint}/client/?hub={self._hub}"
        expires = int(min(until, time.time() + _CLIENT_TOKEN_LIFE.total_seconds()))
        if isinstance(self._access, Keyless):
            return ClientAccess(url=url, access_token=await self._generate_token(user_id, expires))
        closing = {"asrs.s.coae": "true", "asrs.s.aeo": str(expires)}
        token = self._access.sign(url, expires, nameid=user_id, **closing)
        return ClientAccess(url=url, access_token=token)

    async def add_admin(self, user_id: str) -> None:
        """Add this user's connections to the group of admins."""
        await self._call("PUT", f"/api/hubs/{self._hub}/{_user(user_id)}/groups/{ADMINS}")

    async def ping(self) -> None:
        """Raise `PushFailed` unless the service responds."""
        await self._call("HEAD", "/api/health")

    async def close(self) -> None:
        """Push pending changes, for a few seconds at most, and close this event loop's connections."""
        await close_outbox(self)
        await self._nudges.close()
        await self._sessions.close()

    async def _nudge(self, ids: list[str]) -> None:
        await self._send(f"groups/{ADMINS}", "nudge", _body("nudge", [_to_json({"ids": ids})]))

    def _bodies(self, jobs: list[QueuedJob]) -> list[bytes]:
        """Return the bodies of as many pushes as these jobs need: of results, a few may be as large as a push."""
        bodies: list[bytes] = []
        views: list[str] = []
        size = 0
        for job in jobs:
            view = _to_json(JobView.of(job, self._registry).to_json())
            size += len(view)
            if views and (size > _MAX_PUSH or len(views) == _VIEWS_A_PUSH):
                bodies.append(_body("job", views))
                views, size = [], len(view)
            views.append(view)
        return [*bodies, _body("job", views)]

    async def _send(self, receiver: str, target: str, body: bytes) -> None:
        with telemetry.pushing(target):
            await self._call("POST", f"/api/hubs/{self._hub}/{receiver}/:send", body)

    async def _generate_token(self, user_id: str, expires: int) -> str:
        """Let the service issue a token: its signing keys never leave it."""
        minutes = max(1, int(expires - time.time()) // 60)
        response = await self._call(
            "POST", f"/api/hubs/{self._hub}/:generateToken", userId=user_id, minutesToExpire=str(minutes)
        )
        try:
            token: str = json.loads(response)["token"]
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            raise PushFailed(f"The hub's response contains no token: {_reason(exc)}") from exc
        return token

    async def _call(self, method: str, path: str, body: bytes | None = None, **query: str) -> bytes:
        """Send a request, and return the body of its response."""
        url = f"{self._connection.endpoint}{path}"
        address = URL(f"{url}?{urlencode({'api-version': API_VERSION, **query})}", encoded=True)
        headers = {"authorization": f"Bearer {await self._bearer(url)}", "accept-encoding": "identity"}
        try:
            if body is not None:
                headers["content-type"] = "application/json"
            session = self._sessions.get()
            async with session.request(method, address, data=body, headers=headers, allow_redirects=False) as response:
                content = await _read(response)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise PushFailed(f"The hub did not respond: {_reason(exc)}") from exc
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            raise PushFailed(f"The hub returned {response.status}.")
        return content

    async def _bearer(self, url: str) -> str:
        if isinstance(self._access, Signer):
            return self._access.token(url)
        try:
            return await self._access.identity.token(SIGNALR_SCOPE)
        except NoToken as exc:
            raise PushFailed(str(exc)) from exc


def _reason(exc: Exception) -> str:
    """Return the first line of an error; the rest may quote the response."""
    first, *_ = str(exc).splitlines() or [""]
    return f"{type(exc).__name__}: {first}" if first else type(exc).__name__


def _body(target: str, arguments: list[str]) -> bytes:
    return f'{{"target":{_to_json(target)},"arguments":[{",".join(arguments)}]}}'.encode()


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _user(user_id: str) -> str:
    return f"users/{quote(user_id, safe='')}"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body. Raises `ValueError` for one that the service does not send: it sends a token at most."""
    if "content-encoding" in response.headers:
        raise ValueError("its response is compressed")
    if not (response.reason or "").isascii():
        raise ValueError("its status line is not ASCII")
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > MAX_RESPONSE_BYTES:
            raise ValueError(f"its response is larger than {MAX_RESPONSE_BYTES:,} bytes")
    return bytes(content)


def _make_session() -> aiohttp.ClientSession:
    # httpx takes most of the time of a push, even over this session: see docs/reference/performance.md
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls_context()),
        timeout=aiohttp.ClientTimeout(total=_PUSH_TIMEOUT),
        auto_decompress=False,
        trust_env=bool(getproxies()),
    )
