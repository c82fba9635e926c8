"""Authenticates callers by bearer token, and checks the policy of each route."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.http.problems import Problem

GUEST, USER, VIEWER, ADMIN = "guest", "user", "viewer", "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller.

    Attributes
    ----------
    user_id
        The owner in rows and at the hub.
    expires_at
        When the token expires, in Unix seconds.
    """

    user_id: str
    display: str
    roles: frozenset[str]
    expires_at: float

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def sees_all(self) -> bool:
        return self.is_admin or VIEWER in self.roles


class Authenticator(Protocol):
    async def authenticate(self, token: str) -> Principal:
        """Return the caller of this bearer token.

        Raises `Problem`: 401 for a token that is not valid, 503 if it cannot be checked at the moment.
        """


def user_id_of(issuer: str, subject: str) -> str:
    """Return the user id for a subject of an issuer, in characters that are safe in paths and blob names."""
    return base64.b32encode(hashlib.sha256(f"{issuer}|{subject}".encode()).digest()).decode()[:32]


def unauthorized(detail: str) -> Problem:
    return Problem(401, detail, {"WWW-Authenticate": "Bearer"})


async def public(request: Request) -> None:
    """Policy: anyone may call this route."""


async def require_user(request: Request) -> Principal:
    """Policy: callers with a valid token and a role, who access only their own data."""
    known: Principal | None = getattr(request.state, "caller", None)
    if known is not None:
        return known
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized("Sign in first: this needs an Authorization header with a bearer token.")
    authenticator: Authenticator = request.app.state.services.authenticator
    caller = await authenticator.authenticate(token.strip())
    if not caller.roles:
        raise Problem(403, "You are signed in, but have no role here. Ask an admin to give you one.")
    request.state.caller = caller
    return caller


async def require_viewer(request: Request) -> Principal:
    """Policy: viewers and admins, who see all users' jobs."""
    caller = await require_user(request)
    if not caller.sees_all:
        raise Problem(403, "This requires the role of an admin or a viewer. Sign in as one, or ask an admin.")
    return caller


async def require_admin(request: Request) -> Principal:
    """Policy: admins, who act on all users' jobs."""
    caller = await require_user(request)
    if not caller.is_admin:
        raise Problem(403, "This requires the role of an admin; viewers can only read. Ask an admin to do it.")
    return caller


SignedIn = Annotated[Principal, Depends(require_user)]
Viewer = Annotated[Principal, Depends(require_viewer)]
Admin = Annotated[Principal, Depends(require_admin)]

Policy = Callable[[Request], Awaitable[object]]

_POLICIES: frozenset[Policy] = frozenset({public, require_user, require_viewer, require_admin})


class NoPolicy(TypeError):
    """A route has no policy, or several."""


def policy_of(route: APIRoute) -> Policy:
    """Return the policy of this route. Raises `NoPolicy` unless it declares exactly one."""
    calls = set(calls_of(route.dependant))
    found = [policy for policy in _POLICIES if policy in calls]
    if len(found) != 1:
        raise NoPolicy(
            f"{route.path} has {len(found)} policies instead of one: declare Depends(public), or take a parameter of "
            "type SignedIn, Viewer or Admin."
        )
    return found[0]


def check_policies(router: APIRouter) -> list[APIRoute]:
    """Return all routes. Raises `NoPolicy` for one that has no policy, or several."""
    found = []
    for route in router.routes:
        if not isinstance(route, APIRoute):
            raise NoPolicy(f"{route} has no policy: only FastAPI routes can have one.")
        policy_of(route)
        found.append(route)
    return found


def calls_of(dependant: Dependant) -> Iterator[Callable[..., object]]:
    """Yield all dependencies of a route."""
    for inner in dependant.dependencies:
        if inner.call is not None:
            yield inner.call
        yield from calls_of(inner)
