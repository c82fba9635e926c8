"""Parses JSON bodies strictly: rejects values that parsers accept but Postgres would refuse later."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.http.problems import NOTHING, Problem
from api.sign_in.identity import Principal, policy_of
from queued_jobs.encryption import SEAL_MARK
from queued_jobs.offload import offload

_MAX_DEPTH = 64
_MAX_DIGITS = 100
#: In bytes; a larger body is parsed off the event loop.
_MAX_READ_AT_ONCE = 16 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictRequest(Request):
    """A request whose body is at most `max_body` bytes of plain JSON."""

    max_body = 64 * 1024

    async def body(self) -> bytes:
        if not hasattr(self, "_checked"):
            self.check_declared_size()
            pieces, size = [], 0
            async for piece in self.stream():
                size += len(piece)
                if size > self.max_body:
                    self._too_large()
                pieces.append(piece)
            self._checked = b"".join(pieces)
            if self._checked:
                self._check_form()
        return self._checked

    async def json(self) -> Any:
        body = await self.body()
        return parsed(body) if len(body) <= _MAX_READ_AT_ONCE else await offload(parsed, body)

    def check_declared_size(self) -> None:
        """Raise `Problem` 413 if the declared size of the body is too large."""
        declared = self.headers.get("content-length", "0")
        # int() refuses thousands of digits
        if declared.isdecimal() and (len(declared) > _MAX_DIGITS or int(declared) > self.max_body):
            self._too_large()

    def _check_form(self) -> None:
        media_type, *parameters = (part.strip() for part in self.headers.get("content-type", "").lower().split(";"))
        charsets = {part.partition("=")[2].strip('" ') for part in parameters if part.startswith("charset")}
        if media_type != "application/json" or not charsets <= {"utf-8", "utf8"}:
            raise Problem(415, "Send the body as application/json in UTF-8.")
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem(415, "Send the body without a Content-Encoding.")

    def _too_large(self) -> NoReturn:
        raise Problem(413, f"The body is larger than {self.max_body:,} bytes.")


class StrictRoute(APIRoute):
    """An `APIRoute` that authenticates the caller before anything else, and reads its body by `StrictRequest`."""

    request_class: type[StrictRequest] = StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(plain: Request) -> Response:
            request = self.request_class(plain.scope, plain.receive)
            caller = await policy_of(self)(request)
            request.check_declared_size()  # even if the route does not read the body
            if not request.scope["path"].isprintable():  # routing ignores a trailing line break in a path
                raise Problem(404, NOTHING)
            if isinstance(caller, Principal):
                await self.admit(request, caller)
            return await handler(request)

        return strict

    async def admit(self, request: Request, caller: Principal) -> None:
        """Raise `Problem` if an authorised caller must not call this route now."""


class LimitedRoute(StrictRoute):
    """A `StrictRoute` with a limit of calls per user and minute, for routes that change data."""

    async def admit(self, request: Request, caller: Principal) -> None:
        if request.method != "GET":
            await request.app.state.services.quotas.note_write(caller.user_id)


def parsed(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises `Problem` 400 if it is not JSON, is nested deeper than 64, contains a number that is not finite or has more
    than 100 digits, or repeats a key; 422 for a string with a NUL character or an unpaired surrogate, and for an
    encrypted value: only the application encrypts, and a caller must not be able to have a stolen value decrypted.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except UnicodeDecodeError as exc:
        raise Problem(400, "The body is not UTF-8.") from exc
    except RecursionError as exc:
        raise Problem(400, f"The body is nested deeper than {_MAX_DEPTH}.") from exc
    except ValueError as exc:
        raise Problem(400, "The body is not valid JSON.") from exc
    _walk(value, 1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(400, "The body repeats a key.")
    return found


def _no_constant(text: str) -> NoReturn:
    raise Problem(400, f"{text} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Problem(400, "The body contains a number that is too large.")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise Problem(400, "The body contains a number that is too large.")
    return int(text)


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise Problem(422, "A string contains a NUL character or an unpaired surrogate.")
        if value.startswith(SEAL_MARK):
            raise Problem(422, f"A string begins with {SEAL_MARK!r}, which is reserved for stored secrets.")
        return
    if isinstance(value, (dict, list)):
        if depth > _MAX_DEPTH:
            raise Problem(400, f"The body is nested deeper than {_MAX_DEPTH}.")
        for item in value.items() if isinstance(value, dict) else value:
            for part in item if isinstance(item, tuple) else (item,):
                _walk(part, depth + 1)
