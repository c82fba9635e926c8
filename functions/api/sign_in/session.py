"""Routes for signing in and for connecting to the hub."""

from __future__ import annotations

import logging
from datetime import timedelta

from fastapi import APIRouter, Depends

from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.http.problems import Problem, seconds
from api.models import InviteBody, NegotiateView, SessionView, UserView
from api.sign_in.identity import ADMIN, SignedIn, public
from api.sign_in.invite import InviteAuthenticator
from queued_jobs.push.signalr import PushFailed

logger = logging.getLogger(__name__)


#: Maximum wrong links per minute. Valid links are always accepted: a secret of 256 bits cannot be guessed, and
#: strangers must not be able to lock others out.
_MAX_WRONG = 5
_MINUTE = timedelta(minutes=1)

routes = APIRouter(prefix="/api", route_class=StrictRoute, tags=["session"])


def invite_routes(authenticator: InviteAuthenticator) -> APIRouter:
    """Return the route that exchanges invite links, for sites that use them."""
    invites = APIRouter(prefix="/api", route_class=StrictRoute, tags=["session"])

    @invites.post("/session", dependencies=[Depends(public)])
    async def session(body: InviteBody, app: App) -> SessionView:
        """Exchange the secret of an invite link for a session."""
        try:
            made = await authenticator.exchange(body.invite)
        except Problem:
            wait = await app.quotas.note("wrong invite", _MAX_WRONG, _MINUTE)
            if wait:
                detail = "Too many wrong invite links were tried. Wait a minute."
                raise Problem(429, detail, {"Retry-After": seconds(wait)}) from None
            raise
        who = made.principal
        if who.is_admin:
            async with app.audit.acting(who.user_id, ADMIN, "sign-in", {}):
                pass
        user = UserView(id=who.user_id, display=who.display, roles=tuple(sorted(who.roles)))
        return SessionView(token=made.token, expires_at=made.expires_at, user=user)

    return invites


@routes.post("/negotiate")
async def negotiate(caller: SignedIn, app: App) -> NegotiateView:
    """Return the hub URL and a token bound to the caller's user id."""
    try:
        access = await app.notifier.admit(caller.user_id, until=caller.expires_at)
    except PushFailed as exc:
        raise Problem(503, "The hub is unavailable at the moment.", {"Retry-After": "5"}) from exc
    if caller.sees_all:
        try:
            await app.notifier.add_admin(caller.user_id)
        except PushFailed as exc:
            logger.warning(
                "could not add an admin to the hub's admin group; they get no live updates until the page reconnects: "
                "%s",
                exc,
            )
    return NegotiateView(url=access.url, access_token=access.access_token)
