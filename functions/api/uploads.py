"""A place for a user's own files, so that a job can work on them."""

from __future__ import annotations

import unicodedata
from uuid import uuid4

from fastapi import APIRouter

from api.bodies import StrictRequest, StrictRoute
from api.identity import SignedIn
from api.models import UploadBody, UploadTarget, UploadView
from api.problems import Problem
from storage import UPLOADS, upload_link

MAX_FILES = 1_000
MAX_FILE_BYTES = 200 * 1024 * 1024
MAX_TOTAL_BYTES = 1024 * 1024 * 1024


class _ManyNames(StrictRequest):
    max_body = 512 * 1024


class _ManyNamesRoute(StrictRoute):
    request_class = _ManyNames


routes = APIRouter(prefix="/api", route_class=_ManyNamesRoute, tags=["uploads"])


@routes.post("/uploads", status_code=201)
async def uploads(body: UploadBody, caller: SignedIn) -> UploadView:
    """Return a link for each file, to which the browser PUTs its bytes, below the caller's own prefix."""
    _check_sizes(body)
    prefix = f"{uuid4().hex}/"
    targets, expires = [], None
    for name in _checked_names(body):
        link = upload_link(f"{caller.user_id}/{prefix}{name}")
        expires = link.expires_at
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        targets.append(UploadTarget(name=name, url=link.url, headers=headers))
    assert expires is not None  # noqa: S101 (the model asks for at least one file)
    return UploadView(container=UPLOADS, prefix=prefix, expires_at=expires, files=tuple(targets))


def _check_sizes(body: UploadBody) -> None:
    if len(body.files) > MAX_FILES:
        raise Problem(422, f"{len(body.files):,} files are too many: {MAX_FILES:,} at most.")
    for file in body.files:
        if file.size > MAX_FILE_BYTES:
            raise Problem(422, f"A file is larger than {MAX_FILE_BYTES // 1024**2} MiB.")
    if sum(file.size for file in body.files) > MAX_TOTAL_BYTES:
        raise Problem(422, f"The files are larger than {MAX_TOTAL_BYTES // 1024**3} GiB together.")


def _checked_names(body: UploadBody) -> list[str]:
    names = [unicodedata.normalize("NFC", file.name) for file in body.files]
    for name in names:
        parts = name.split("/")
        if "\\" in name or any(part in ("", ".", "..") for part in parts) or not name.isprintable():
            raise Problem(422, "A file name must be a relative path of printable characters, without . or .. in it.")
    if len(set(names)) < len(names):
        raise Problem(422, "Two files have the same name.")
    return names
