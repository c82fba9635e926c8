"""How the stand-in says no: one exception, and the answer that the service's description gives it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """A request that is answered with an error. `reason` goes to the caller word for word: no token may be in it."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def response(self) -> Response:
        """The answer for HTTP, and for a WebSocket that was not accepted yet."""
        code = self.status.phrase.replace(" ", "").replace("-", "")
        headers = {"x-ms-error-code": code}
        if self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers["Retry-After"] = "1"
        return JSONResponse({"code": code, "message": self.reason}, status_code=self.status, headers=headers)


async def answer_refusal(_request: HTTPConnection, refused: Exception) -> Response:
    """Exception handler of the application for `Refused`."""
    if not isinstance(refused, Refused):
        raise refused
    return refused.response()
