"""The directory (Entra): applications, the principals that stand for them, groups."""

from __future__ import annotations

import json
import uuid
from typing import Any

from scripts.azure.cli import AzureCli

_GITHUB = "https://token.actions.githubusercontent.com"
_GRAPH = "https://graph.microsoft.com/v1.0"
_ROLES = {
    "user": "Starts jobs and sees their own",
    "viewer": "Sees the jobs of all",
    "admin": "Sees, cancels and repeats the jobs of all",
}


def ensure_application(azure: AzureCli, name: str) -> tuple[str, str]:
    """Return client id and the principal's object id of the application with that name, made where it is missing."""
    app = _called(name, azure.ask("ad", "app", "list", "--display-name", name))
    if app is None:
        app = azure.do(f"register the application {name}", "ad", "app", "create", "--display-name", name)
    client_id = app["appId"] if app else f"<client id of {name}>"
    found = azure.ask("ad", "sp", "list", "--filter", f"appId eq '{client_id}'") if app else []
    made = found[0] if found else azure.do(f"give {name} a principal", "ad", "sp", "create", "--id", client_id)
    return client_id, made["id"] if made else f"<object id of {name}>"


def ensure_federation(azure: AzureCli, client_id: str, *, repository: str, environment: str) -> None:
    """Let jobs of that repository's environment sign in as the application, without a secret."""
    name = f"github-{environment}"
    wanted = {
        "name": name,
        "issuer": _GITHUB,
        "subject": f"repo:{repository}:environment:{environment}",
        "audiences": ["api://AzureADTokenExchange"],
    }
    known = azure.ask("ad", "app", "federated-credential", "list", "--id", client_id) if _is_known(client_id) else []
    command, credential = ("ad", "app", "federated-credential"), ("--parameters", json.dumps(wanted))
    found = next((one for one in known if one["name"] == name), None)
    if found is None:
        azure.do(f"trust {wanted['subject']}", *command, "create", "--id", client_id, *credential)
    elif found["subject"] != wanted["subject"]:
        azure.do(
            f"trust {wanted['subject']} instead of {found['subject']}",
            *command,
            "update",
            "--id",
            client_id,
            "--federated-credential-id",
            name,
            *credential,
        )


def ensure_group(azure: AzureCli, name: str, members: dict[str, str]) -> str:
    """Return the object id of the group, with these members (object id by name) added to those it has."""
    group = _called(name, azure.ask("ad", "group", "list", "--display-name", name))
    if group is None:
        create = ("ad", "group", "create", "--display-name", name, "--mail-nickname", name)
        group = azure.do(f"make the group {name}", *create)
    group_id: str = group["id"] if group else f"<object id of {name}>"
    for member, object_id in members.items():
        is_in = (
            group is not None
            and _is_known(object_id)
            and azure.ask("ad", "group", "member", "check", "--group", group_id, "--member-id", object_id)["value"]
        )
        if not is_in:
            add = ("ad", "group", "member", "add", "--group", group_id, "--member-id", object_id)
            azure.do(f"add {member} to {name}", *add)
    return group_id


def ensure_sign_in(azure: AzureCli, client_id: str, site: str) -> None:
    """Let people sign in on the site's page, with the application's three roles and tokens that its API can check."""
    app = azure.ask("ad", "app", "show", "--id", client_id) if _is_known(client_id) else {}
    pages = [*app.get("spa", {}).get("redirectUris", [])]
    wanted = [*pages, *(page for page in (f"{site}/",) if page not in pages)]
    roles = {role["value"] for role in app.get("appRoles", [])}
    if wanted == pages and roles >= set(_ROLES):
        return
    body: dict[str, Any] = {
        "identifierUris": [f"api://{client_id}"],
        "spa": {"redirectUris": wanted},
        "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [_scope(client_id)]},
        "appRoles": [
            *(role for role in app.get("appRoles", []) if role["value"] not in _ROLES),
            *(_role(client_id, name, text) for name, text in _ROLES.items()),
        ],
    }
    url = f"{_GRAPH}/applications/{app.get('id', f'<object id of {client_id}>')}"
    azure.do(f"let people sign in on {site}", "rest", "--method", "patch", "--url", url, "--body", json.dumps(body))


def ensure_user_role(azure: AzureCli, client_id: str, *, application: str, principal: str) -> None:
    """Make the principal a user of the application whose client id and principal these are."""
    role_id = _role(client_id, "user", "")["id"]
    url = f"{_GRAPH}/servicePrincipals/{principal}/appRoleAssignments"
    is_known = _is_known(principal) and _is_known(application)
    known = azure.ask("rest", "--method", "get", "--url", url)["value"] if is_known else []
    if any(one["appRoleId"] == role_id for one in known):
        return
    body = json.dumps({"principalId": principal, "resourceId": application, "appRoleId": role_id})
    azure.do("let the pipeline run a job as a user", "rest", "--method", "post", "--url", url, "--body", body)


def _called(name: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the one with exactly that name: the directory also finds longer ones that start with it."""
    return next((one for one in found if one["displayName"] == name), None)


def _is_known(id_: str) -> bool:
    return not id_.startswith("<")  # a dry run names what it has not made


def _scope(client_id: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{client_id}/access")),
        "value": "access",
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
