"""Who is calling: bearer tokens, and what each route asks of them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.problems import Problem

GUEST, USER, VIEWER, ADMIN = "guest", "user", "viewer", "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller.

    Attributes
    ----------
    user_id
        The owner written in rows and named to the hub.
    expires_at
        When the token ends, in Unix seconds.
    """

    user_id: str
    display: str
    roles: frozenset[str]
    expires_at: float

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles


class Authenticator(Protocol):
    def authenticate(self, token: str) -> Principal:
        """Return the caller whom this bearer token names, or raise `Problem` 401."""


def user_id_of(issuer: str, subject: str) -> str:
    """Return one and the same id for one subject of one issuer, in characters that fit paths and blob names."""
    return base64.b32encode(hashlib.sha256(f"{issuer}|{subject}".encode()).digest()).decode()[:32]


def unauthorized(detail: str) -> Problem:
    return Problem(401, detail, {"WWW-Authenticate": "Bearer"})


def public() -> None:
    """Policy: anyone may call this route."""


def signed_in(request: Request) -> Principal:
    """Policy: anyone with a valid token; what they see and touch is their own."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Sign in first: this needs an Authorization header with a bearer token.")
    authenticator: Authenticator = request.app.state.services.authenticator
    return authenticator.authenticate(token.strip())


SignedIn = Annotated[Principal, Depends(signed_in)]

_POLICIES: frozenset[Callable[..., object]] = frozenset({public, signed_in})


def check_policies(router: APIRouter) -> None:
    """Raise `TypeError` for a route that does not say who may call it, or says it twice."""
    for route in router.routes:
        found = _POLICIES.intersection(_calls(route.dependant)) if isinstance(route, APIRoute) else ()
        if len(found) != 1:
            raise TypeError(
                f"{getattr(route, 'path', route)}: {len(found)} policies instead of one: "
                "declare Depends(public), or take a parameter of type SignedIn."
            )


def _calls(dependant: Dependant) -> Iterator[Callable[..., object]]:
    for inner in dependant.dependencies:
        if inner.call is not None:
            yield inner.call
        yield from _calls(inner)
