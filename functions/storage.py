"""The application's blob containers, and short-lived links to single blobs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from azure.core.exceptions import ResourceNotFoundError, ServiceRequestTimeoutError

from archive import safe_file_name
from queued_jobs import ResultFile
from queued_jobs.identity import Keyless
from settings import Settings

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties, BlobServiceClient, UserDelegationKey

#: Uploads of users, each below `<user id>/`.
UPLOADS = "uploads"
#: Files of jobs, as `<job id>/<claim id>.<suffix>`. A lifecycle rule of the account removes the files of killed
#: attempts.
RESULTS = "results"
CONTAINERS = (UPLOADS, RESULTS)

#: Limits of one upload and one zip.
MAX_FILES = 1_000
MAX_FILE_BYTES = 200 * 1024**2
MAX_BYTES = 1024**3

_CLOCK_SKEW = timedelta(minutes=5)
_UPLOAD_LIFE = timedelta(hours=1)
_DOWNLOAD_LIFE = timedelta(minutes=15)
#: A link is valid until it expires, even if the identity that signed it loses its rights, so this is short.
_DELEGATION_LIFE = timedelta(hours=2)
#: Seconds to connect and to read: requests wait for such a key, each in one of a few threads.
_KEY_PATIENCE = 2
#: Blobs are read in pieces of this size, so that memory stays bounded.
_PIECE = 4 * 1024 * 1024
_CLIENT_OPTIONS: dict[str, Any] = {
    "max_single_get_size": _PIECE,
    "max_chunk_get_size": _PIECE,
    # with `BlockingTransport` a call ends within four times 35 seconds and three pauses of 2, 4 and 8
    "retry_total": 3,
    "initial_backoff": 0,
    "increment_base": 2,
    "random_jitter_range": 0,
}
_CONNECTION_TIMEOUT, _RESPONSE_TIMEOUT = 5, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A URL that grants access until `expires_at`. Never store, log or push it."""

    url: str
    expires_at: datetime


@cache
def blob_service() -> BlobServiceClient:
    """Return the client of this process. Its calls block: use it in job bodies in threads, and to sign links."""
    from azure.storage.blob import BlobServiceClient  # slow to import, and rarely needed

    from queued_jobs.blocking_transport import BlockingTransport

    account = Settings.from_environment().blobs
    options = {**_CLIENT_OPTIONS, "transport": BlockingTransport(_CONNECTION_TIMEOUT, _RESPONSE_TIMEOUT)}
    if isinstance(account, Keyless):
        return BlobServiceClient(account.endpoint, credential=account.identity.blocking_credential, **options)
    return BlobServiceClient.from_connection_string(account, **options)


def delete_blob(container: str, blob: str) -> None:
    """Delete a blob if it exists. It may have been deleted before a crash.

    Only for blobs that no other attempt can have written, such as those named after a claim.
    """
    with contextlib.suppress(ResourceNotFoundError):
        blob_service().get_blob_client(container, blob).delete_blob()


def list_files(container: str, prefix: str) -> tuple[list[BlobProperties], list[BlobProperties]]:
    """Return the files below a prefix, and blobs that the page never uploads: those of other types, or archived.

    Reads at most one more than `MAX_FILES`.
    """
    blobs = list(islice(blob_service().get_container_client(container).list_blobs(prefix), MAX_FILES + 1))
    return [blob for blob in blobs if is_file(blob)], [blob for blob in blobs if not is_file(blob)]


def is_file(blob: BlobProperties) -> bool:
    """Return whether the page could have uploaded this blob."""
    return blob.blob_type == "BlockBlob" and blob.blob_tier != "Archive"


def sweep_uploads(*, older_than: timedelta = _UPLOAD_LIFE) -> int:
    """Delete what an upload link can create besides files and the account's lifecycle rule does not cover.

    That is page blobs and append blobs, snapshots, and archived files; no job has a use for them. Returns how many were
    deleted; blocks.
    """
    until = datetime.now(UTC) - older_than
    return _delete_uploads(lambda blob: blob.creation_time <= until and not (is_file(blob) and blob.snapshot is None))


def delete_uploads_of(user_id: str) -> int:
    """Delete all that a user has uploaded. Returns how many blobs were deleted; blocks."""
    if not user_id.isprintable():  # no user signs in as that, and no list of blobs can name it
        return 0
    return _delete_uploads(lambda _: True, prefix=f"{user_id}/")


def _delete_uploads(which: Callable[[BlobProperties], bool], *, prefix: str | None = None) -> int:
    from azure.storage.blob import BlobLeaseClient

    uploads = blob_service().get_container_client(UPLOADS)
    deleted = 0
    for blob in uploads.list_blobs(prefix, include=["snapshots"]):
        if not which(blob):
            continue
        client = uploads.get_blob_client(blob.name, snapshot=blob.snapshot)
        with contextlib.suppress(ResourceNotFoundError):  # deleted with its blob, above
            if blob.lease.state == "leased":  # by a link of an older version
                BlobLeaseClient(client).break_lease(0)
            client.delete_blob(delete_snapshots=None if blob.snapshot else "include")
            deleted += 1
    return deleted


def origin() -> str:
    """Return scheme, host and port of the blob service, for a content security policy."""
    account = Settings.from_environment().blobs
    parts = urlsplit(account.endpoint if isinstance(account, Keyless) else blob_service().url)
    return f"{parts.scheme}://{parts.netloc}"


def upload_link(blob: str) -> Link:
    """Return a link with which a browser may create this one blob in the uploads container.

    It cannot change an existing one. `sweep_uploads` removes what it can create besides ordinary files.
    """
    return _link(UPLOADS, blob, "c", _UPLOAD_LIFE)


def download_link(file: ResultFile) -> Link:
    """Return a link that downloads this blob under its file name, made safe. It can be used until it expires."""
    name = safe_file_name(file.file_name)
    plain = re.sub(r"[^ -~]|[\"\\%]", "_", name)  # for browsers without support of filename*
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return _link(file.container, file.blob, "r", _DOWNLOAD_LIFE, disposition, file.content_type)


def _link(
    container: str,
    blob: str,
    permission: str,
    life: timedelta,
    content_disposition: str | None = None,
    content_type: str | None = None,
) -> Link:
    from azure.storage.blob import generate_blob_sas

    service = blob_service()
    now = datetime.now(UTC)
    signature = generate_blob_sas(
        account_name=service.account_name or "",
        container_name=container,
        blob_name=blob,
        **_signing_key(service, until=now + life),
        permission=permission,
        start=now - _CLOCK_SKEW,
        expiry=now + life,
        # the emulator uses http on loopback; everything else requires https
        protocol="https" if service.url.startswith("https:") else "https,http",
        content_disposition=content_disposition,
        content_type=content_type,
    )
    url = service.get_blob_client(container, blob).url
    return Link(url=f"{url}?{signature}", expires_at=now + life)


def _signing_key(service: BlobServiceClient, *, until: datetime) -> dict[str, Any]:
    account_key = getattr(service.credential, "account_key", None)  # None for an identity
    if account_key is not None:
        return {"account_key": account_key}
    return {"user_delegation_key": _delegation_keys(service).valid_until(until)}


class _DelegationKeys:
    """User delegation keys, with which an identity signs links: each is used for about an hour."""

    def __init__(self, service: BlobServiceClient) -> None:
        self._service = service
        self._lock = Lock()
        self._key: UserDelegationKey | None = None
        self._expires_at = datetime.min.replace(tzinfo=UTC)

    def valid_until(self, until: datetime) -> UserDelegationKey:
        """Return a key that is valid until `until` or longer. Requests a new one if the cached key is not.

        Raises `AzureError` if the service does not respond in time, or an earlier request is still waiting for it.
        """
        if not self._lock.acquire(timeout=2 * _KEY_PATIENCE):
            raise ServiceRequestTimeoutError("The blob service did not respond to the request for a signing key.")
        try:
            if self._key is None or self._expires_at < until:
                now = datetime.now(UTC)
                self._key = self._service.get_user_delegation_key(
                    now - _CLOCK_SKEW,
                    now + _DELEGATION_LIFE,
                    connection_timeout=_KEY_PATIENCE,
                    read_timeout=_KEY_PATIENCE,
                    retry_total=0,
                )
                self._expires_at = now + _DELEGATION_LIFE
            return self._key
        finally:
            self._lock.release()


@cache
def _delegation_keys(service: BlobServiceClient) -> _DelegationKeys:
    return _DelegationKeys(service)
