"""The response to a request, built from the worker's return value as in the real host."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from starlette.responses import Response

from tools.functions_host.protos import RpcHttp, RpcHttpCookie, TypedData

# the server frames the buffered body itself
_FRAMING_HEADERS = ("content-length", "transfer-encoding", "connection")


def make_response(result: TypedData | None, *, is_head: bool) -> Response:
    """Return the response; a string is plain text, and None is a 204."""
    if result is None:
        return Response(status_code=204)
    if result.http is None:
        return Response(result.string or "", media_type="text/plain")
    return _from_http(result.http, is_head=is_head)


def _from_http(http: RpcHttp, *, is_head: bool) -> Response:
    response = Response(http.body.bytes if http.body else b"", status_code=int(http.status_code))
    for name, value in http.headers.items():
        if name.lower() not in _FRAMING_HEADERS or (is_head and name.lower() == "content-length"):
            response.headers[name] = value
    for cookie in http.cookies or ():
        _set_cookie(response, cookie)
    return response


def _set_cookie(response: Response, cookie: RpcHttpCookie) -> None:
    """Add a cookie; its value is escaped, as in the real host by ASP.NET."""
    response.set_cookie(
        cookie.name,
        quote(cookie.value, safe=""),
        domain=(cookie.domain and cookie.domain.value) or None,
        path=(cookie.path and cookie.path.value) or None,
        expires=datetime.fromtimestamp(cookie.expires.value.seconds, UTC) if cookie.expires else None,
        secure=bool(cookie.secure and cookie.secure.value),
        httponly=bool(cookie.http_only and cookie.http_only.value),
        samesite=cookie.same_site,  # type: ignore[arg-type]
        max_age=int(cookie.max_age.value) if cookie.max_age else None,
    )
