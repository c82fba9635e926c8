"""The two app registrations for sign-in: the API, the audience of tokens, and the page, which requests them.

They are two, so that an ID token, which any page gets and which only says who signed in, is not one for the API.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scripts.azure.cli import AzureCli
from scripts.azure.directory import GRAPH, is_known

SCOPE: Final = "access_as_user"
_ROLES: Final = {
    "user": "Starts jobs and sees their own",
    "viewer": "Sees the jobs of all users",
    "admin": "Sees, cancels and retries the jobs of all users",
}
#: Microsoft Graph, and its ids of openid, profile and offline_access: so that an admin can consent for all users.
_DIRECTORY: Final = "00000003-0000-0000-c000-000000000000"
_WHO_ONE_IS: Final = (
    "37f7f235-527c-4136-accd-4a02d197296e",
    "14dad69e-099b-42c9-810b-d002981feec1",
    "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The API's registration: the scope's id, the id of the role `user`, and the whole registration."""

    client_id: str
    scope_id: str
    user_role_id: str
    registration: Mapping[str, Any]


def ensure_api(azure: AzureCli, client_id: str) -> Api:
    """Let the application be an API with one scope, three roles and tokens of version 2.

    Existing scopes and roles are kept: the directory does not change those in use.
    """
    app = _registration(azure, client_id)
    api = app.get("api") or {}
    scopes = _with(api.get("oauth2PermissionScopes"), "value", [_scope(client_id)])
    roles = _with(app.get("appRoles"), "value", [_role(client_id, name, text) for name, text in _ROLES.items()])
    claims = app.get("optionalClaims") or {}
    is_app: dict[str, Any] = {"name": "idtyp", "source": None, "essential": False, "additionalProperties": []}
    body = {
        "identifierUris": _united(app.get("identifierUris"), [f"api://{client_id}"]),
        # version 2, since the older form has another issuer and another audience
        "api": {**api, "requestedAccessTokenVersion": 2, "oauth2PermissionScopes": scopes},
        "appRoles": roles,
        # distinguishes a token of the pipeline, which has no scope, from an ID token
        "optionalClaims": {**claims, "accessToken": _with(claims.get("accessToken"), "name", [is_app])},
    }
    _patch(azure, "describe the API to the directory", client_id, app, body)
    return Api(
        client_id=client_id,
        scope_id=next(scope["id"] for scope in scopes if scope["value"] == SCOPE),
        user_role_id=next(role["id"] for role in roles if role["value"] == "user"),
        registration={**app, **body},  # the directory may return the former version for a while
    )


def ensure_page(azure: AzureCli, client_id: str, *, site: str, api: Api) -> None:
    """Let the application be the page at `site`: without a secret, and with the right to ask for the API's scope."""
    app = _registration(azure, client_id)
    spa = app.get("spa") or {}
    access = app.get("requiredResourceAccess") or []
    for resource, scopes in ((api.client_id, (api.scope_id,)), (_DIRECTORY, _WHO_ONE_IS)):
        wanted = [{"id": id_, "type": "Scope"} for id_ in scopes]
        access = _extended(access, "resourceAppId", resource, "resourceAccess", wanted)
    body = {
        "spa": {**spa, "redirectUris": _united(spa.get("redirectUris"), [f"{site}/"])},
        "requiredResourceAccess": access,
    }
    _patch(azure, f"let users sign in on {site}", client_id, app, body)


def ensure_trust(azure: AzureCli, api: Api, *, page: str) -> None:
    """Authorize the page to use the API without each user's consent. Requires the scope to exist."""
    described = api.registration["api"]
    trusted = described.get("preAuthorizedApplications") or []
    trusted = _extended(trusted, "appId", page, "delegatedPermissionIds", [api.scope_id])
    body = {"api": {**described, "preAuthorizedApplications": trusted}}
    _patch(azure, "let the page use the API without asking for consent", api.client_id, api.registration, body)


def ensure_user_role(azure: AzureCli, api: Api, *, application: str, principal: str) -> None:
    """Make the principal a user of the API, whose own principal is `application`."""
    url = f"{GRAPH}/servicePrincipals/{principal}/appRoleAssignments"
    both = is_known(principal) and is_known(application)
    known = azure.ask("rest", "--method", "get", "--url", url)["value"] if both else []
    if any((one["resourceId"], one["appRoleId"]) == (application, api.user_role_id) for one in known):
        return
    body = json.dumps({"principalId": principal, "resourceId": application, "appRoleId": api.user_role_id})
    azure.do("let the pipeline run a job as a user", "rest", "--method", "post", "--url", url, "--body", body)


def _registration(azure: AzureCli, client_id: str) -> dict[str, Any]:
    return azure.ask("ad", "app", "show", "--id", client_id) if is_known(client_id) else {}


def _patch(azure: AzureCli, what: str, client_id: str, app: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    if all(app.get(name) == value for name, value in body.items()):
        return
    url = f"{GRAPH}/applications/{app.get('id', f'<object id of {client_id}>')}"
    azure.do(what, "rest", "--method", "patch", "--url", url, "--body", json.dumps(body))


def _with(there: list[dict[str, Any]] | None, key: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the existing entries and the wanted entries that are missing, identified by `key`."""
    known = there or []
    return [*known, *(one for one in wanted if one[key] not in {other[key] for other in known})]


def _united(there: list[Any] | None, wanted: Iterable[Any]) -> list[Any]:
    known = there or []
    return [*known, *(one for one in wanted if one not in known)]


def _extended(there: list[dict[str, Any]], key: str, owner: str, name: str, wanted: list[Any]) -> list[dict[str, Any]]:
    """Return the existing entries. The list `name` of the entry with `owner` as its `key` also has the wanted items."""
    entry: dict[str, Any] = next((one for one in there if one[key] == owner), {key: owner, name: []})
    extended = {**entry, name: _united(entry[name], wanted)}
    return [extended if one is entry else one for one in (there if entry in there else [*there, entry])]


def _scope(client_id: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client_id}/{SCOPE}")),
        "value": SCOPE,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "Use the jobs of the signed-in user",
        "adminConsentDescription": "Lets the page start and show jobs of the signed-in user.",
    }


def _role(client_id: str, name: str, text: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client_id}/{name}")),
        "value": name,
        "displayName": name.capitalize(),
        "description": text,
        # the pipeline runs a job on the new stack as a user
        "allowedMemberTypes": ["User", "Application"] if name == "user" else ["User"],
        "isEnabled": True,
    }
