"""The errors of the emulator: one exception, and its documented response."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """A request that fails with an error response. `reason` is sent to the caller: it must not contain tokens."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    def response(self) -> Response:
        """The response for HTTP, and for a WebSocket that was not accepted yet."""
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
