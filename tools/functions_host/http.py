"""The HTTP front end: the host's own routes, then the functions' routes, as an ASGI application."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from azure.storage.queue import QueueMessage
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tools.functions_host.errors import InvocationError, SettingsError
from tools.functions_host.functions import HTTP_TRIGGER, QUEUE_TRIGGER, Function
from tools.functions_host.invoke import Invoker
from tools.functions_host.response import make_response
from tools.functions_host.routes import Route, is_reserved, make_route
from tools.functions_host.trigger_data import from_message, from_request, from_timer

log = logging.getLogger("host.http")

#: If this app setting exists, it is the key of all functions that are not anonymous, and of /admin.
KEY_SETTING = "FUNCTIONS_HOST_KEY"
HOME_PAGE_SETTING = "AzureWebJobsDisableHomepage"
BODY_LIMIT_SETTING = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
DEFAULT_BODY_LIMIT = 104_857_600
_HOST = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+|)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_LAST_PORT = 65_535


class HttpFrontEnd:
    """Serves requests by calling HTTP functions; raises HostError immediately if a route cannot be registered."""

    def __init__(self, functions: Iterable[Function], *, route_prefix: str, invoker: Invoker) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        http_functions = [f for f in self._functions.values() if f.trigger_type == HTTP_TRIGGER]
        self._routes = sorted(
            (make_route(function, route_prefix) for function in http_functions), key=lambda route: route.precedence
        )
        self._invoker = invoker
        self._key = os.environ.get(KEY_SETTING) or None
        self._body_limit = _body_limit()
        self._started = time.monotonic()
        self._admin_invocations: set[asyncio.Task[None]] = set()
        self._shadowed: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; each runs in its own task, so a slow client does not delay others."""
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            log.info("the client of %s %s disconnected before its request was complete", request.method, scope["path"])
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.scope["path"]
        if not _is_well_formed(request):
            return Response(status_code=400)
        if is_reserved(path):
            return await self._respond_as_host(request, path.strip("/").lower())
        route, parameters = self._find(request.method, path)
        if route is None:
            return self._home_page() if path == "/" and request.method == "GET" else Response(status_code=404)
        if not route.is_anonymous and not self._has_key(request):
            return Response(status_code=401)
        body = await self._read_body(request)
        if body is None:
            return Response(status_code=413)
        try:
            result = await self._invoker.invoke(
                route.function,
                from_request(request, route=parameters, body=body),
                detail=f"{request.method} {path}",
                trace_parent=request.headers.get("traceparent"),
            )
        except InvocationError:  # logged there; the caller does not get details
            return Response(status_code=500)
        return make_response(result, is_head=request.method == "HEAD")

    def _find(self, method: str, path: str) -> tuple[Route | None, dict[str, str]]:
        for route in self._routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return route, parameters
        return None, {}

    def _has_key(self, request: Request) -> bool:
        if self._key is None:  # like Core Tools by default
            return True
        given = request.headers.get("x-functions-key")
        if given is None:
            given = request.query_params.get("code", "")
        return hmac.compare_digest(given.encode(), self._key.encode())

    def _home_page(self) -> Response:
        if os.environ.get(HOME_PAGE_SETTING, "").lower() == "true":
            return Response(status_code=204)
        return Response("The local functions host is running; no function has this path.\n", media_type="text/plain")

    async def _read_body(self, request: Request) -> bytes | None:
        """The whole body, or None if it exceeds the limit."""
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > self._body_limit:
                return None
            parts.append(part)
        return b"".join(parts)

    async def _respond_as_host(self, request: Request, path: str) -> Response:
        if path == "admin/host/ping" and request.method in ("GET", "POST"):
            return Response(status_code=200)
        name = path.removeprefix("admin/functions/")
        is_invoke = request.method == "POST" and name != path and "/" not in name
        is_status = request.method == "GET" and path == "admin/host/status"
        if not is_invoke and not is_status:
            route, _ = self._find(request.method, request.scope["path"])
            if route is not None and route.function.name not in self._shadowed:
                self._shadowed.add(route.function.name)
                log.error(
                    "The request path '%s' was rejected because it uses a reserved host route and matches the route "
                    "for function '%s'. Update the function route to use a non-reserved path.",
                    request.scope["path"],
                    route.function.name,
                )
            return Response(status_code=404)
        if not self._has_key(request):
            return Response(status_code=401)
        return await self._invoke_by_name(request, name) if is_invoke else self._status()

    def _status(self) -> Response:
        uptime = round((time.monotonic() - self._started) * 1000)
        return JSONResponse(
            {"id": f"local-{os.getpid()}", "state": "Running", "version": "local", "processUptime": uptime}
        )

    async def _invoke_by_name(self, request: Request, name: str) -> Response:
        function = self._functions.get(name)
        if function is None or function.trigger_type == HTTP_TRIGGER:
            return Response(status_code=404)
        # a page of another origin can send a form or plain text without a preflight request, but not JSON
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Response(status_code=415)
        body = await self._read_body(request)
        if body is None:
            return Response(status_code=413)
        try:
            document = json.loads(body)
        except ValueError:
            return Response(status_code=400)
        text = document.get("input", "") if isinstance(document, dict) else None
        if not isinstance(text, str):
            return Response(status_code=400)
        task = asyncio.create_task(self._invoke_quietly(function, text))
        self._admin_invocations.add(task)
        task.add_done_callback(self._admin_invocations.discard)
        return Response(status_code=202)

    async def _invoke_quietly(self, function: Function, text: str) -> None:
        data = from_timer(last=None, following=datetime.now(UTC))
        if function.trigger_type == QUEUE_TRIGGER:
            message = QueueMessage()
            message.id, message.dequeue_count = str(uuid.uuid4()), 1
            data = from_message(function, message, text.encode())
        try:
            await self._invoker.invoke(function, data, detail="called by /admin")
        except InvocationError as error:
            log.info("the call of %s through /admin failed: %s", function.name, error)


def _body_limit() -> int:
    text = os.environ.get(BODY_LIMIT_SETTING, str(DEFAULT_BODY_LIMIT))
    if not text.isdecimal():
        raise SettingsError(f"the app setting {BODY_LIMIT_SETTING} is {text!r}; use a number of bytes")
    return int(text)


def _is_well_formed(request: Request) -> bool:
    """Return whether host and path form a valid URL; the real host's server rejects others."""
    try:
        path = unquote_to_bytes(request.scope["raw_path"]).decode()
    except UnicodeDecodeError:
        return False
    if not path.startswith("/"):  # whole addresses are for proxies, and * is for servers
        return False
    host = _HOST.fullmatch(request.headers.get("host", ""))
    return host is not None and int(host["port"] or 0) <= _LAST_PORT
