"""Uploads of users' files, for jobs to work on."""

from __future__ import annotations

import asyncio
import unicodedata
from uuid import uuid4

from azure.core.exceptions import AzureError
from fastapi import APIRouter

from api.http.json_bodies import LimitedRoute, StrictRequest
from api.http.problems import Problem
from api.models import UploadBody, UploadTarget, UploadView
from api.sign_in.identity import SignedIn
from storage import MAX_BYTES, MAX_FILE_BYTES, UPLOADS, Link, upload_link


class _ManyNames(StrictRequest):
    max_body = 512 * 1024


class _ManyNamesRoute(LimitedRoute):
    request_class = _ManyNames


routes = APIRouter(prefix="/api", route_class=_ManyNamesRoute, tags=["uploads"])


@routes.post("/uploads", status_code=201)
async def uploads(body: UploadBody, caller: SignedIn) -> UploadView:
    """Return a link for each file, to which the browser PUTs its bytes, below the caller's own prefix."""
    _check_sizes(body)
    prefix = f"{uuid4().hex}/"
    names = _check_names(body)
    # a thousand signatures would block the event loop
    try:
        links = await asyncio.to_thread(_sign_links, [f"{caller.user_id}/{prefix}{name}" for name in names])
    except AzureError as exc:  # the signing key comes from the storage account
        raise Problem(503, "The file storage is unavailable at the moment.", {"Retry-After": "5"}) from exc
    headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
    targets = tuple(
        UploadTarget(name=name, url=link.url, headers=headers) for name, link in zip(names, links, strict=True)
    )
    return UploadView(container=UPLOADS, prefix=prefix, expires_at=links[0].expires_at, files=targets)


def _sign_links(blobs: list[str]) -> list[Link]:
    return [upload_link(blob) for blob in blobs]


def _check_sizes(body: UploadBody) -> None:
    for file in body.files:
        if file.size > MAX_FILE_BYTES:
            raise Problem(422, f"A file is larger than {MAX_FILE_BYTES // 1024**2} MiB.")
    if sum(file.size for file in body.files) > MAX_BYTES:
        raise Problem(422, f"The files are larger than {MAX_BYTES // 1024**3} GiB in total.")


def _check_names(body: UploadBody) -> list[str]:
    names = [file.name for file in body.files]
    for name in names:
        parts = name.split("/")
        if "\\" in name or any(part in ("", ".", "..") for part in parts) or not name.isprintable():
            must = "a file name must be a relative path of printable characters, without . or .. in it"
            raise Problem(422, f"{name!r} is refused: {must}.")
    # some systems, and people, cannot tell other forms of the same characters apart
    if len({unicodedata.normalize("NFC", name) for name in names}) < len(names):
        raise Problem(422, "Two files have the same name.")
    return names
