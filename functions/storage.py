"""Blobs: the containers of the application, and short-lived links for one blob at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from queued_jobs import ResultFile
from settings import Settings

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

#: What users upload, each below `<user id>/`.
UPLOADS = "uploads"
#: What jobs make, as `<job id>/<attempt>.<suffix>`.
RESULTS = "results"
CONTAINERS = (UPLOADS, RESULTS)

_CLOCK_SKEW = timedelta(minutes=5)
_UPLOAD_LIFE = timedelta(hours=1)
_DOWNLOAD_LIFE = timedelta(minutes=15)
#: Blobs are read in pieces of this size, so that memory stays bounded.
_PIECE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An address that carries its own permission until `expires_at`. Never store, log or push it."""

    url: str
    expires_at: datetime


@cache
def blob_service() -> BlobServiceClient:
    """Return the process's one client; its calls block, so it is for job bodies in threads and for signing links."""
    from azure.storage.blob import BlobServiceClient  # a third of a second, which only some instances need

    return BlobServiceClient.from_connection_string(
        Settings.from_environment().blobs,
        max_single_get_size=_PIECE,
        max_chunk_get_size=_PIECE,
        retry_total=3,
        connection_timeout=5,
        read_timeout=30,
    )


def origin() -> str:
    """Return scheme, host and port of the blob service, as a content security policy names it."""
    parts = urlsplit(blob_service().url)
    return f"{parts.scheme}://{parts.netloc}"


def upload_link(blob: str) -> Link:
    """Return a link with which a browser may create this one blob in the uploads container."""
    return _link(UPLOADS, blob, "cw", _UPLOAD_LIFE)


def download_link(file: ResultFile) -> Link:
    """Return a link that downloads this one blob under its file name. It may be used more than once until it ends."""
    plain = re.sub(r"[^ -~]|[\"\\%]", "_", file.file_name)  # for browsers that know no filename*
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.file_name, safe='')}"
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
        account_key=service.credential.account_key,
        permission=permission,
        start=now - _CLOCK_SKEW,
        expiry=now + life,
        # the emulator speaks http on loopback; everywhere else only https will do
        protocol="https" if service.url.startswith("https:") else "https,http",
        content_disposition=content_disposition,
        content_type=content_type,
    )
    url = service.get_blob_client(container, blob).url
    return Link(url=f"{url}?{signature}", expires_at=now + life)
