"""The directory (Entra): applications, the principals that stand for them, groups."""

from __future__ import annotations

import json
from typing import Any, Final

from scripts.azure.cli import AzureCli

_GITHUB: Final = "https://token.actions.githubusercontent.com"
GRAPH: Final = "https://graph.microsoft.com/v1.0"


def is_known(id_: str) -> bool:
    """Tell whether the directory gave this id: a dry run makes one up for what it has not made."""
    return not id_.startswith("<")


def ensure_application(azure: AzureCli, name: str) -> tuple[str, str]:
    """Return client id and the principal's object id of the application with that name, made where it is missing."""
    app = _called(name, azure.ask("ad", "app", "list", "--display-name", name))
    if app is None:
        create = ("ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg")
        app = azure.do(f"register the application {name}", *create)
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
    known = azure.ask("ad", "app", "federated-credential", "list", "--id", client_id) if is_known(client_id) else []
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
            and is_known(object_id)
            and azure.ask("ad", "group", "member", "check", "--group", group_id, "--member-id", object_id)["value"]
        )
        if not is_in:
            add = ("ad", "group", "member", "add", "--group", group_id, "--member-id", object_id)
            azure.do(f"add {member} to {name}", *add)
    return group_id


def _called(name: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the one with exactly that name: the directory also finds longer ones that start with it."""
    return next((one for one in found if one["displayName"] == name), None)
