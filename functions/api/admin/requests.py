"""What starting a job of a kind takes, for forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic.errors import PydanticInvalidForJsonSchema

from api.dependencies import App
from api.http.json_bodies import StrictRoute
from api.http.problems import Problem
from api.sign_in.identity import Viewer
from queued_jobs.push.view import Public

routes = APIRouter(prefix="/api/admin", route_class=StrictRoute, tags=["admin"])


class RequestSchemaView(Public):
    kind: str
    #: The JSON Schema of the request; null if its model has none, because it contains types without a JSON form.
    json_schema: Mapping[str, Any] | None


@routes.get("/kinds/{kind}/request-schema")
async def request_schema(kind: str, caller: Viewer, app: App) -> RequestSchemaView:
    """Return the JSON Schema of a kind's request, as `POST /api/jobs/{kind}` takes it."""
    runner = app.manager.registry.get(kind)
    if runner is None:
        raise Problem(404, "There is no such kind.")
    try:
        schema = runner.request_type.model_json_schema()
    except PydanticInvalidForJsonSchema:
        schema = None
    return RequestSchemaView(kind=kind, json_schema=schema)
