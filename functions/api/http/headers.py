"""Headers of every response, and headers that callers must not send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # none of it is used, and a script that was injected must not use it either
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation"),
            *("gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment"),
            *("picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "usb"),
            "xr-spatial-tracking",
        )
    ),
}
_ONLY_TLS = {"Strict-Transport-Security": "max-age=31536000"}
#: Set by App Service Authentication, which is off, so any such header is forged.
_FORGED = (b"x-ms-client-principal", b"x-ms-token-")


def content_security_policy(connect: Iterable[str]) -> str:
    """Return the policy for pages that connect to these origins besides their own."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            " ".join(["connect-src", "'self'", *connect]),
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def with_websocket(origin: str) -> tuple[str, str]:
    """Return an http(s) origin and its ws(s) twin."""
    return origin, origin.replace("http", "ws", 1)


def with_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Allow pages of exactly these other origins to call the API (CORS)."""
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        # the last two are sent by the hub's client when it negotiates
        allow_headers=[
            *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match"),
            *("X-Requested-With", "X-SignalR-User-Agent"),
        ],
        expose_headers=["Content-Disposition", "ETag", "Location", "Retry-After"],
        max_age=600,
    )


class SecureHeaders:
    """Adds security headers, disables caching by default, and drops forged identity headers.

    Parameters
    ----------
    policy
        The content security policy, except of pages, which have their own.
    only_tls
        Tell browsers to use TLS only for a year: not on a laptop, whose host name other programs share.
    """

    def __init__(self, app: ASGIApp, *, policy: str, only_tls: bool) -> None:
        self._app = app
        self._policy = policy
        self._headers = _HEADERS | (_ONLY_TLS if only_tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy)  # pages set their own
                headers.update(self._headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        scope["headers"] = [(name, value) for name, value in scope["headers"] if not name.startswith(_FORGED)]
        await self._app(scope, receive, secured)
