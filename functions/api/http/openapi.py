"""The OpenAPI document: the framework's, completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.sign_in.identity import policy_of, public

_PROBLEM = "application/problem+json"
_FIELDS = ("type", "title", "status", "detail", "instance", "requestId")
_INTEGERS = {"status"}
_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
}
_SCHEMA = {
    "type": "object",
    "description": "The problem, as defined in RFC 9457. `errors` lists invalid fields of the request.",
    "required": list(_FIELDS),
    "properties": {
        **{name: {"type": "integer" if name in _INTEGERS else "string"} for name in _FIELDS},
        "errors": {"type": "array", "items": _ERROR},
    },
}
#: Operations on the job of a response.
_NEXT = {
    "job": ("/api/jobs/{job_id}", "get"),
    "clear": ("/api/jobs/{job_id}", "delete"),
    "cancel": ("/api/jobs/{job_id}/cancel", "post"),
    "retry": ("/api/jobs/{job_id}/retry", "post"),
    "download": ("/api/jobs/{job_id}/download", "get"),
}


def install(app: FastAPI, routes: Sequence[APIRoute]) -> None:
    """Make the application publish the OpenAPI document of these routes. It is built once."""
    policies = {
        (route.path_format, method.lower()): policy_of(route) for route in routes for method in route.methods or ()
    }

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(title=app.title, version=app.version, routes=routes)
            parts = app.openapi_schema.setdefault("components", {})
            parts.setdefault("schemas", {})["Problem"] = _SCHEMA
            parts["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
            for path, operations in app.openapi_schema["paths"].items():
                for method, operation in operations.items():
                    _complete(operation, is_public=policies[path, method] is public)
            _link(app.openapi_schema["paths"])
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as documented by the framework


def _complete(operation: dict[str, Any], *, is_public: bool) -> None:
    problem = {"content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    if "description" in operation:
        operation["summary"] = operation["description"].partition(". ")[0].removesuffix(".")
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's own schema, which is never sent
    responses["4XX"] = {"description": "The request cannot be processed.", **problem}
    responses["5XX"] = {"description": "The server or a service behind it is unavailable.", **problem}
    if not is_public:
        operation["security"] = [{"bearer": []}]


def _link(paths: dict[str, Any]) -> None:
    links = {
        name: {
            "operationId": paths[path][method]["operationId"],
            "parameters": {"job_id": "$response.body#/id"},
        }
        for name, (path, method) in _NEXT.items()
    }
    for operations in paths.values():
        for operation in operations.values():
            content = operation["responses"].get("202", {}).get("content", {})
            if "JobView" in str(content.get("application/json")):
                operation["responses"]["202"]["links"] = links
