"""The directory (Entra): applications, their principals, groups."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, Final

from scripts.azure.cli import AzureCli, AzureError
from scripts.azure.github import ISSUER

_AUDIENCE: Final = "api://AzureADTokenExchange"
#: Entra's limit per application.
_MAX_CREDENTIALS: Final = 20
GRAPH: Final = "https://graph.microsoft.com/v1.0"


def is_known(id_: str) -> bool:
    """Return whether this is an id of the directory: a dry run uses placeholders for objects that do not exist."""
    return not id_.startswith("<")


def ensure_application(azure: AzureCli, name: str) -> tuple[str, str]:
    """Return client id and the principal's object id of the application with that name; create it if missing."""
    app = _called(name, azure.ask("ad", "app", "list", "--display-name", name))
    if app is None:
        create = ("ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg")
        app = azure.do(f"register the application {name}", *create)
    client_id = app["appId"] if app else f"<client id of {name}>"
    found = azure.ask("ad", "sp", "list", "--filter", f"appId eq '{client_id}'") if app else []
    made = found[0] if found else azure.do(f"create a principal for {name}", "ad", "sp", "create", "--id", client_id)
    return client_id, made["id"] if made else f"<object id of {name}>"


def ensure_federation(azure: AzureCli, client_id: str, *, issuer: str, subjects: Mapping[str, str]) -> None:
    """Let jobs with these subjects (by the name of the credential) sign in as the application, without a secret.

    A credential with one of the names that trusts something else is changed. Other credentials are kept, and reported.
    Raises `AzureError` if the application would have more than the directory allows.
    """
    command = ("ad", "app", "federated-credential")
    known = azure.ask(*command, "list", "--id", client_id) if is_known(client_id) else []
    trusted = {
        one.get("subject"): one["name"] for one in known if one["issuer"] == issuer and _AUDIENCE in one["audiences"]
    }
    by_name = {one["name"]: one for one in known}
    missing = {name: subject for name, subject in subjects.items() if subject not in trusted}
    if len(known) + len(missing.keys() - by_name.keys()) > _MAX_CREDENTIALS:
        raise AzureError(
            f"The application {client_id} would have more than {_MAX_CREDENTIALS} federated credentials. Remove some: "
            f"az ad app federated-credential list --id {client_id}"
        )
    for name, subject in missing.items():
        wanted = {"name": name, "issuer": issuer, "subject": subject, "audiences": [_AUDIENCE]}
        credential = ("--id", client_id, "--parameters", json.dumps(wanted))
        former = by_name.get(name)
        if former is None:
            azure.do(f"trust {subject}", *command, "create", *credential)
        else:
            what = f"trust {subject} instead of {_describe_credential(former)}"
            azure.do(what, *command, "update", "--federated-credential-id", name, *credential)
    ours = {*missing, *(name for subject, name in trusted.items() if subject in subjects.values())}
    for name in by_name.keys() - ours:
        print(
            f"azure    | NOTE: {client_id} also trusts {_describe_credential(by_name[name])}. If it is no longer used:"
        )
        remove = ("az", *command, "delete", "--id", client_id, "--federated-credential-id", name)
        print(f"         |   {shlex.join(remove)}", flush=True)


def _describe_credential(credential: Mapping[str, Any]) -> str:
    subject = credential.get("subject") or credential.get("claimsMatchingExpression")
    issuer = "" if credential["issuer"] == ISSUER else f" of {credential['issuer']}"
    return f"{subject}{issuer}"


def ensure_group(azure: AzureCli, name: str, members: dict[str, str]) -> str:
    """Return the object id of the group, after adding these members (object id by name)."""
    group = _called(name, azure.ask("ad", "group", "list", "--display-name", name))
    if group is None:
        create = ("ad", "group", "create", "--display-name", name, "--mail-nickname", name)
        group = azure.do(f"create the group {name}", *create)
    group_id: str = group["id"] if group else f"<object id of {name}>"
    for member, object_id in members.items():
        is_in = (
            group is not None
            and is_known(object_id)
            and azure.ask("ad", "group", "member", "check", "--group", group_id, "--member-id", object_id)["value"]
        )
        if not is_in:
            add = ("ad", "group", "member", "add", "--group", group_id, "--member-id", object_id)
            azure.do(f"add {member} to {name}", *add)
    return group_id


def _called(name: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the object with exactly that name: the directory also returns longer names that start with it."""
    return next((one for one in found if one["displayName"] == name), None)
