"""Signing in, and the way to the hub."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Depends

from api.bodies import StrictRoute
from api.dependencies import App
from api.identity import SignedIn, public
from api.models import InviteBody, NegotiateView, SessionView, UserView
from queued_jobs.signalr import PushFailed

logger = logging.getLogger(__name__)


routes = APIRouter(prefix="/api", route_class=StrictRoute, tags=["session"])


@routes.post("/session", dependencies=[Depends(public)])
async def session(body: InviteBody, app: App) -> SessionView:
    """Exchange the secret of an invite link for a session."""
    made = app.authenticator.exchange(body.invite)
    who = made.principal
    user = UserView(id=who.user_id, display=who.display, roles=tuple(sorted(who.roles)))
    return SessionView(token=made.token, expires_at=made.expires_at, user=user)


@routes.post("/negotiate")
async def negotiate(caller: SignedIn, app: App) -> NegotiateView:
    """Say where the hub is and admit the caller, as nobody but themselves."""
    access = await app.notifier.admit(caller.user_id, until=caller.expires_at)
    if caller.is_admin:
        try:
            await app.notifier.add_admin(caller.user_id)
        except PushFailed as exc:
            logger.warning("an admin will not be nudged until the next negotiate: %s", exc)
    return NegotiateView(url=access.url, access_token=access.access_token)
