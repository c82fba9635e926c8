"""Erases users over HTTP, for admins."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from azure.core.exceptions import AzureError
from fastapi import APIRouter
from pydantic import ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from api.audit import Audited
from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.http.problems import Problem
from api.models import Body
from api.sign_in.identity import Admin
from queued_jobs.push.view import Public

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])

#: Leaves a request time for the batch that is under way.
_WITHIN = timedelta(seconds=5)


class EraseBody(Body):
    model_config = ConfigDict(alias_generator=to_camel)

    user_id: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/\x00]+$")]
    #: Only count.
    dry_run: bool = False


class ErasedView(Public):
    #: Jobs that were deleted.
    deleted: int
    #: Jobs of the user that are still stored; repeat the request until there are none.
    left: int
    #: False if there are more than `left`.
    exact: bool


@routes.post("/erase")
async def erase(body: EraseBody, caller: Admin, audit: Audited, app: App) -> ErasedView:
    """Delete a user's jobs, with the data of their results, and the user's uploads. Running jobs are asked to stop."""
    erasure = app.manager.erasure
    if body.dry_run:
        count = await erasure.count(body.user_id)
        return ErasedView(deleted=0, left=count.number, exact=count.exact)
    async with audit.acting("erase", user_id=body.user_id) as acting:
        try:
            erased = await erasure.erase(body.user_id, within=_WITHIN)
        except AzureError as exc:
            raise Problem(503, "The file storage is unavailable at the moment.", {"Retry-After": "5"}) from exc
        # jobs that were cancelled may be among the deleted ones
        acting.changed = max(erased.jobs, erased.stopped)
    return ErasedView(deleted=erased.jobs, left=erased.left.number, exact=erased.left.exact)
