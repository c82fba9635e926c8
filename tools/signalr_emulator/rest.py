"""The REST API of the data plane: how the app sends to clients and manages groups."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any, NoReturn

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.faults import Faults, Push
from tools.signalr_emulator.hubs import Hubs, ReceiverKind
from tools.signalr_emulator.limits import body_up_to
from tools.signalr_emulator.paths import Action, Call, parse
from tools.signalr_emulator.pushes import Pushes
from tools.signalr_emulator.tokens import AccessKey, RestCallers, raw_path

LARGEST_BODY = 1024 * 1024
API_VERSIONS = ("2022-06-01", "2022-11-01", "2024-12-01")
WITHOUT_TOKENS = "2022-06-01"  # the version before the service created tokens for clients
DEFAULT_TOKEN_MINUTES = 5
MAX_TOKEN_MINUTES = 24 * 60


class RestEndpoint:
    """Responds without waiting for clients: a send is accepted even if there are none."""

    def __init__(self, *, callers: RestCallers, key: AccessKey, hubs: Hubs, pushes: Pushes, faults: Faults) -> None:
        self._callers = callers
        self._key = key
        self._hubs = hubs
        self._pushes = pushes
        self._faults = faults

    def routes(self) -> list[BaseRoute]:
        """Health, and everything else below /api: names may contain escaped slashes, at which a router would split."""
        methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]
        return [
            Route("/api/health", self.health, methods=["GET", "HEAD"]),
            Route("/api/v1/health", self.health, methods=["GET", "HEAD"]),
            Route("/api/{path:path}", self.call, methods=methods),
        ]

    async def health(self, _request: Request) -> Response:
        """200 without a token, unless a fault is on."""
        self._refuse_on_purpose()
        return Response()

    async def call(self, request: Request) -> Response:
        """Any operation on a hub."""
        self._refuse_on_purpose()
        self._callers.check_rest(request)
        call = parse(request.method, raw_path(request))
        _check_query(call, request)
        if call.action is Action.GENERATE_TOKEN:
            user, life = request.query_params.get("userId"), _token_life(request)
            return JSONResponse({"token": self._key.client_token(request, hub=call.hub, user=user, life=life)})
        if call.action is Action.SEND:
            self._pushes.send(await _read_push(call, request))
        elif not self._perform(call, request):
            raise Refused(HTTPStatus.NOT_FOUND, f"There is no such {call.receiver.kind} here.")
        return Response(status_code=call.success)

    def _perform(self, call: Call, request: Request) -> bool:
        member_may_be_absent = call.receiver.kind is ReceiverKind.USER
        match call.action:
            case Action.EXISTS:
                return bool(self._hubs.select(call.hub, call.receiver))
            case Action.CLOSE:
                excluded = request.query_params.getlist("excluded")
                for connection in self._hubs.select(call.hub, call.receiver, excluded):
                    connection.close(request.query_params.get("reason"))
                return True
            case Action.JOIN:
                return self._hubs.join(call.hub, call.receiver, call.group, _lifetime(request))
            case Action.LEAVE:
                return self._hubs.leave(call.hub, call.receiver, call.group) or member_may_be_absent
            case Action.LEAVE_ALL:
                self._hubs.leave_all(call.hub, call.receiver)
                return True
            case _:
                return self._hubs.is_member(call.hub, call.receiver, call.group)

    def _refuse_on_purpose(self) -> None:
        if self._faults.refuse.strikes():
            raise Refused(self._faults.refusal, "Refused by /_control/refuse.")


def _check_query(call: Call, request: Request) -> None:
    if call.versioned and request.query_params.get("api-version") not in API_VERSIONS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The query must contain api-version, one of {', '.join(API_VERSIONS)}.")
    if call.action is Action.GENERATE_TOKEN and request.query_params["api-version"] == WITHOUT_TOKENS:
        raise Refused(HTTPStatus.BAD_REQUEST, f"The api-version {WITHOUT_TOKENS} does not create tokens yet.")
    if "application" in request.query_params:
        raise Refused(HTTPStatus.BAD_REQUEST, "The emulator has no applications; use the hub's name only.")


def _lifetime(request: Request) -> timedelta | None:
    seconds = request.query_params.get("ttl")
    if seconds is None:
        return None
    if not seconds.isdecimal():
        raise Refused(HTTPStatus.BAD_REQUEST, "ttl must be a number of seconds.")
    return timedelta(seconds=int(seconds))


def _token_life(request: Request) -> timedelta:
    minutes = request.query_params.get("minutesToExpire", str(DEFAULT_TOKEN_MINUTES))
    if not minutes.isdecimal() or not 1 <= int(minutes) <= MAX_TOKEN_MINUTES:
        raise Refused(HTTPStatus.BAD_REQUEST, f"minutesToExpire must be from 1 to {MAX_TOKEN_MINUTES}.")
    return timedelta(minutes=int(minutes))


async def _read_push(call: Call, request: Request) -> Push:
    body = await body_up_to(LARGEST_BODY, request)
    if not body:
        raise Refused(HTTPStatus.BAD_REQUEST, "Message in request body is required.")
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")
    message = _parse_json(body)
    target = message.get("target") if isinstance(message, dict) else None
    arguments = message.get("arguments") if isinstance(message, dict) else None
    if not isinstance(target, str) or not target or not isinstance(arguments, list | None):
        raise Refused(HTTPStatus.BAD_REQUEST, 'The body must be {"target": text, "arguments": [...]}.')
    excluded = frozenset(request.query_params.getlist("excluded"))
    return Push(hub=call.hub, receiver=call.receiver, target=target, arguments=arguments or [], excluded=excluded)


def _parse_json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")
