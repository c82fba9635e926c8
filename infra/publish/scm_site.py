"""Client of a function app's SCM site, which deploys a zip in the background and reports the outcome."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum
from typing import Any, Final, Self

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

logger = logging.getLogger(__name__)

#: A new role takes minutes to take effect; so does the site of a new app.
ATTEMPTS = 20
PAUSE = timedelta(seconds=15)
POLL = timedelta(seconds=3)
#: The new deployment appears in the list with a delay.
APPEARS_WITHIN = timedelta(minutes=2)
FINISHES_WITHIN = timedelta(minutes=20)
_MAX_PAUSE = timedelta(minutes=1)
_NOT_READY = frozenset({403, 404, 409, 429, 500, 502, 503, 504})
#: In a response, or in the log of a failed deployment: the app has no access to its container yet.
_ROLE_LAG = re.compile("BlobUploadFailedException|AuthorizationPermissionMismatch|AuthorizationFailure")
#: A new site rejects valid tokens for a moment.
_ATTEMPTS_WITH_401 = 4
_REMEDIES = {
    401: "The deployer's token is not for this tenant: sign in to the tenant of the subscription.",
    403: "The deployer needs the role Contributor (or Website Contributor) on the app; a new one takes minutes.",
    409: "Another deployment does not end; check it in the portal, then run the command again.",
    413: "The zip is too large for the app.",
}


class PublishFailed(Exception):
    """The app does not run the new code; the message has the site's reason and the remedy."""


class Status(IntEnum):
    """Status of a deployment. The HTTP status of the response does not reflect it."""

    UNKNOWN = -1
    PENDING = 0
    BUILDING = 1
    DEPLOYING = 2
    FAILED = 3
    SUCCESS = 4
    CONFLICT = 5
    PARTIAL_SUCCESS = 6

    @classmethod
    def _missing_(cls, value: object) -> Status:
        return cls.UNKNOWN


class _Deployment(BaseModel):
    id: str
    status: int


_ONE: Final = TypeAdapter(_Deployment)
_MANY: Final = TypeAdapter(list[_Deployment])


class ScmSite:
    """A context manager; calls `token` before each request, since a deployment can outlast a token."""

    def __init__(
        self,
        url: str,
        *,
        token: Callable[[], str],
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._token = token
        self._sleep = sleep
        self._clock = clock
        self._client = httpx.Client(base_url=url, timeout=httpx.Timeout(30, write=300, read=300), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def publish(self, content: bytes) -> str:
        """Deploy the zip, wait for the end, and return the deployment's id. Raises `PublishFailed`.

        Retries temporary errors: a site that is not ready, a role without effect yet, another deployment.
        """
        for attempt in range(1, ATTEMPTS + 1):
            older = {deployment.id for deployment in self._read("/api/deployments", _MANY)}
            response = self._accepted("POST", "/api/publish", content)
            deployment_id = self._new_deployment(older)
            status = self._wait_for_end(deployment_id)
            if status is Status.SUCCESS:
                return deployment_id
            reason = "is busy with another deployment"
            if status is not Status.CONFLICT:
                log = self._log(deployment_id)
                if not _ROLE_LAG.search(log) or attempt == ATTEMPTS:
                    raise PublishFailed(
                        f"Deployment {deployment_id} at {self._url} ended as {status.name.lower().replace('_', ' ')}: "
                        f"{log}\nThe app still runs the previous code. Fix the cause and run `pulumi up` again."
                    )
                reason = "has no access to its container yet"
            logger.warning("%s %s (attempt %d of %d)", self._url, reason, attempt, ATTEMPTS)
            self._sleep(pause_after(response, PAUSE))
        raise PublishFailed(f"{self._url} stayed busy with other deployments. {_REMEDIES[409]}")

    def _read[T](self, path: str, kind: TypeAdapter[T]) -> T:
        """Return the site's answer; a page of a gateway in its place is a temporary error."""
        return kind.validate_json(self._accepted("GET", path, kind=kind).content)

    def _accepted(
        self, method: str, path: str, content: bytes | None = None, *, kind: TypeAdapter[Any] | None = None
    ) -> httpx.Response:
        """Send until the site accepts. Raises `PublishFailed` after the last attempt, or for a permanent error."""
        last: httpx.Response | httpx.TransportError | None = None
        for attempt in range(1, ATTEMPTS + 1):
            if last is not None:
                logger.warning(
                    "%s %s%s: %s (attempt %d of %d)", method, self._url, path, brief(last), attempt - 1, ATTEMPTS
                )
                self._sleep(pause_after(last, PAUSE))
            try:
                last = self._send(method, path, content)
            except httpx.TransportError as error:
                last = error
                continue
            if last.is_success and (kind is None or _fits(last, kind)):
                return last
            if not (last.is_success or _is_temporary(last, attempt)):
                break
        remedy = _REMEDIES.get(last.status_code, "") if isinstance(last, httpx.Response) else ""
        remedy = (
            remedy or "Run `pulumi up` again; if that does not help, check the app's deployment center in the portal."
        )
        raise PublishFailed(f"{method} {self._url}{path} was not accepted: {brief(last)}. {remedy}")

    def _send(self, method: str, path: str, content: bytes | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token()}"}
        if content is None:
            return self._client.request(method, path, headers=headers)
        return self._client.request(
            method,
            path,
            params={"RemoteBuild": "false", "isAsync": "true", "Deployer": "queued-jobs"},
            headers={**headers, "Content-Type": "application/zip", "If-Match": "*"},
            content=content,
        )

    def _new_deployment(self, older: set[str]) -> str:
        deadline = self._clock() + APPEARS_WITHIN.total_seconds()
        while True:
            for deployment in self._read("/api/deployments", _MANY):
                if deployment.id not in older:
                    return deployment.id
            if self._clock() > deadline:
                raise PublishFailed(
                    f"{self._url} accepted the zip, but no deployment appeared within "
                    f"{APPEARS_WITHIN.total_seconds():.0f} s. Run `pulumi up` again."
                )
            self._sleep(POLL.total_seconds())

    def _wait_for_end(self, deployment_id: str) -> Status:
        deadline = self._clock() + FINISHES_WITHIN.total_seconds()
        while True:
            status = Status(self._read(f"/api/deployments/{deployment_id}", _ONE).status)
            if status >= Status.FAILED:
                return status
            if self._clock() > deadline:
                minutes = FINISHES_WITHIN.total_seconds() / 60
                raise PublishFailed(
                    f"Deployment {deployment_id} at {self._url} is still {status.name.lower()} after {minutes:.0f} "
                    "minutes. Check it in the portal, then run `pulumi up` again."
                )
            self._sleep(POLL.total_seconds())

    def _log(self, deployment_id: str) -> str:
        with contextlib.suppress(PublishFailed):
            log = self._accepted("GET", f"/api/deployments/{deployment_id}/log").text.strip()
            return log[:2000] or "it has no log"
        return "its log cannot be read"


def _fits(response: httpx.Response, kind: TypeAdapter[Any]) -> bool:
    try:
        kind.validate_json(response.content)
    except ValidationError:
        return False
    return True


def _is_temporary(response: httpx.Response, attempt: int) -> bool:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return attempt < _ATTEMPTS_WITH_401
    return response.status_code in _NOT_READY or (
        response.status_code == httpx.codes.BAD_REQUEST and _ROLE_LAG.search(response.text) is not None
    )


def pause_after(response: httpx.Response | httpx.TransportError, default: timedelta) -> float:
    """Return the seconds to wait: what the response requests, within limits."""
    requested = response.headers.get("Retry-After", "") if isinstance(response, httpx.Response) else ""
    return min(float(requested) if requested.isdecimal() else default.total_seconds(), _MAX_PAUSE.total_seconds())


def brief(last: httpx.Response | httpx.TransportError | None) -> str:
    if isinstance(last, httpx.Response):
        return f"status {last.status_code} {last.text.strip()[:500]}".rstrip()
    return str(last) or type(last).__name__
