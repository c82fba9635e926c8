"""Serves the web client: the files of `web/`, and the client's settings."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from api.http.problems import NOTHING, Problem
from api.sign_in.identity import public
from settings import InviteSettings, OidcSettings

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_MAX_PATH = 200
_FOLDERS = ("css", "js", "vendor")


def router(
    root: Path, *, blob_origin: str, sign_in: InviteSettings | OidcSettings, policy: Callable[[], Awaitable[str]]
) -> APIRouter:
    """Return the routes; `policy` returns the content security policy of each page."""
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
    root = root.resolve(strict=True)

    class FileRoute(APIRoute):
        """Matches existing files only, so that a wrong method on another path does not return 405."""

        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            match, matched = super().matches(scope)
            return (match, matched) if match is Match.NONE or _inside(root, scope["path"]) else (Match.NONE, {})

    config = {"api": "/api", **_how_to_sign_in(sign_in), "blobOrigins": [blob_origin]}

    @routes.api_route("/config.js", methods=["GET", "HEAD"])
    async def settings() -> Response:
        text = f"export const config = Object.freeze({json.dumps(config)});\n"
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    async def file(request: Request) -> Response:  # not in a thread: the files are small, and threads may be busy
        found = _inside(root, request.scope["path"])
        if found is None:  # deleted since it was matched
            raise Problem(404, NOTHING)
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        content = _content(found, found.stat().st_mtime_ns, zipped)
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        digest = hashlib.sha256(content)
        if found.suffix == ".html":
            headers["Content-Security-Policy"] = await policy()
            # a browser keeps the cached policy of an unchanged page
            digest.update(headers["Content-Security-Policy"].encode())
        headers["ETag"] = f'"{digest.hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type=_TYPES[found.suffix], headers=headers)

    # no catch-all route: it would also match API paths with a wrong method
    for path in ("/", "/{file}", *(f"/{folder}/{{file:path}}" for folder in _FOLDERS)):
        routes.add_api_route(path, file, methods=["GET", "HEAD"], route_class_override=FileRoute)
    return routes


def _how_to_sign_in(sign_in: InviteSettings | OidcSettings) -> dict[str, object]:
    if isinstance(sign_in, InviteSettings):
        return {"signIn": "invite"}
    oidc = {
        "issuer": sign_in.issuer,
        "clientId": sign_in.client_id,
        "scope": sign_in.scope,
        "parameters": {sign_in.audience_parameter: sign_in.audience} if sign_in.audience_parameter else {},
    }
    return {"signIn": "oidc", "oidc": oidc}


@lru_cache(maxsize=200)
def _content(path: Path, changed_at: int, zipped: bool) -> bytes:
    """Return the content of a file; `changed_at` invalidates the cache after an edit."""
    content = path.read_bytes()
    return gzip.compress(content, mtime=0) if zipped else content


def _inside(root: Path, path: str) -> Path | None:
    """Return the file of this path if it is inside `root`."""
    if "\0" in path or "\\" in path or len(path) > _MAX_PATH:
        return None
    found = (root / (path.removeprefix("/") or "index.html")).resolve()
    return found if found.is_relative_to(root) and found.suffix in _TYPES and found.is_file() else None
