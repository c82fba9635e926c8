"""Posts every change of a job to another system, with a signature."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta

import httpx

from queued_jobs._arguments import check_span, check_whole
from queued_jobs._per_loop import PerLoop, tls_context
from queued_jobs.announcements import flush_pushes
from queued_jobs.errors import JobsError
from queued_jobs.model import QueuedJob
from queued_jobs.offload import offload_unless_small
from queued_jobs.push.limited_transport import LimitedTransport
from queued_jobs.push.view import JobView, texts_of
from queued_jobs.registry import JobRegistry

_TIMEOUT = 5.0
_MAX_TRIES, _MAX_WAIT = 20, timedelta(hours=1)


class WebhookFailed(JobsError):
    """The other system did not accept a change in any of the tries."""


class Webhook:
    """Another channel for `JobRunner.on_status_updated`.

    The body is the job's public view. It is signed as Standard Webhooks (standardwebhooks.com) describes: the
    `webhook-signature` header is `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`, where `webhook-id` is the
    same for each try of one change (`<job id>.<version>`) and `webhook-timestamp` is in Unix seconds. So receivers can
    verify the sender, reject old messages and drop duplicates. They compare versions, as any reader does.

    Parameters
    ----------
    url
        From your settings, never from a request: otherwise callers could make this server request any URL.
    secret
        At least 32 bytes, shared with the receiver. Raises `ValueError` for a shorter one.
    tries, wait
        Maximum number of tries, and the wait after the first failed one; the wait doubles.
    """

    def __init__(
        self,
        url: str,
        secret: bytes,
        registry: JobRegistry,
        *,
        tries: int = 3,
        wait: timedelta = timedelta(seconds=1),
    ) -> None:
        if len(secret) < 32:
            raise ValueError(f"The webhook's secret has {len(secret)} bytes; use 32 or more.")
        check_whole("tries", tries, most=_MAX_TRIES)
        check_span("wait", wait, least=timedelta(), most=_MAX_WAIT)
        self._url = url
        self._secret = secret
        self._registry = registry
        self._tries = tries
        self._wait = wait.total_seconds()
        self._clients = PerLoop(_make_client, close=httpx.AsyncClient.aclose)

    async def post(self, job: QueuedJob) -> None:
        """Post a change. Raises `WebhookFailed` after the last failed try, or immediately for a status below 500."""
        body = await offload_unless_small(texts_of(job), self._body, job)
        message_id = f"{job.id}.{job.version}"
        reason = ""
        for number in range(self._tries):
            if number:
                await asyncio.sleep(self._wait * 2 ** (number - 1))
            try:
                headers = self._headers(message_id, body)
                # the client's own timeout applies to each read: a response that trickles in would never end
                async with asyncio.timeout(_TIMEOUT):
                    response = await self._clients.get().post(self._url, content=body, headers=headers)
            except (httpx.HTTPError, OSError, TimeoutError, ValueError) as exc:
                reason = type(exc).__name__
                continue
            if response.is_success:
                return
            reason = f"status {response.status_code}"
            if not response.is_server_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
        raise WebhookFailed(f"The webhook did not accept version {job.version} of job {job.id}: {reason}.")

    async def close(self) -> None:
        """Post pending changes, for a few seconds at most, and close this event loop's connections."""
        await flush_pushes()
        await self._clients.close()

    def _body(self, job: QueuedJob) -> bytes:
        return json.dumps(JobView.of(job, self._registry).to_json()).encode()

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = b".".join([message_id.encode(), timestamp.encode(), body])
        signature = base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }


def _make_client() -> httpx.AsyncClient:
    transport = LimitedTransport(httpx.AsyncHTTPTransport(verify=tls_context()))
    # a little less than for the whole: httpx leaves a socket open if it is cancelled in a TLS handshake
    return httpx.AsyncClient(transport=transport, timeout=0.9 * _TIMEOUT)
