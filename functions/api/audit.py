"""Records what admins do to jobs of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from api.dependencies import App
from api.sign_in.identity import ADMIN, Principal, calls_of, policy_of, require_admin
from queued_jobs.audit import Action, AuditLog


class CallersAudit:
    """Records the actions of one caller."""

    def __init__(self, log: AuditLog, caller: Principal) -> None:
        self._log = log
        self._caller = caller

    @asynccontextmanager
    async def acting(self, action: str, **filters: Any) -> AsyncIterator[Action]:
        """Record the action of this block if the caller is an admin: other callers change only their own jobs."""
        if not self._caller.is_admin:
            yield Action()
            return
        async with self._log.acting(self._caller.user_id, ADMIN, action, filters) as acting:
            yield acting


def audited(request: Request, app: App) -> CallersAudit:
    """Return the audit of the caller, whom the route's policy has authenticated."""
    return CallersAudit(app.audit, request.state.caller)


Audited = Annotated[CallersAudit, Depends(audited)]


class NoAudit(TypeError):
    """A route lets admins change something, and does not record it."""


def check_audits(router: APIRouter) -> None:
    """Raise `NoAudit` for a route that lets admins change something and does not take an `Audited`."""
    for route in router.routes:
        if not isinstance(route, APIRoute) or policy_of(route) is not require_admin:
            continue
        if set(route.methods or ()) - {"GET", "HEAD"} and audited not in calls_of(route.dependant):
            raise NoAudit(f"{route.path}: its changes are not recorded; take a parameter of type Audited and use it.")
