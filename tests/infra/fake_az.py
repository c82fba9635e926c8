"""A subscription and a directory in a JSON file, spoken to by the commands of the Azure CLI that scripts/ uses.

Run as `az`: answers from the file named by FAKE_AZ, changes it, and appends each command to its log. What it does not
know it refuses, as Azure would.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
OTHER_SUBSCRIPTION = "55555555-5555-4555-8555-555555555555"
TENANT = "22222222-2222-4222-8222-222222222222"
GRAPH = "00000003-0000-0000-c000-000000000000"
ME = "44444444-4444-4444-8444-444444444444"

Options = defaultdict[str, str]


class Directory:
    """The commands `az ad`, `az login` and those of its registrations; `cloud` is what the file holds."""

    def __init__(self, cloud: dict[str, Any]) -> None:
        self.cloud = cloud
        for key in (
            "groups",
            "resources",
            "containers",
            "keys",
            "apps",
            "principals",
            "teams",
            "assignments",
            "granted",
            "log",
        ):
            cloud.setdefault(key, [])
        for key in ("federations", "members"):
            cloud.setdefault(key, {})
        cloud.setdefault("providers", ["Microsoft.Storage"])

    def ad_app_list(self, options: Options) -> Any:
        return self._starting(self.cloud["apps"], options)

    def ad_app_show(self, options: Options) -> Any:
        return next(one for one in self.cloud["apps"] if one["appId"] == options["--id"])

    def ad_app_create(self, options: Options) -> Any:
        app = self._named(self.cloud["apps"], options, appId=str(uuid.uuid4()))
        # as the directory shows a new one: empty things are there
        app |= {"identifierUris": [], "appRoles": [], "requiredResourceAccess": [], "optionalClaims": None}
        app |= {"spa": {"redirectUris": []}, "signInAudience": options["--sign-in-audience"]}
        app["api"] = {
            "acceptMappedClaims": None,
            "requestedAccessTokenVersion": None,
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
        }
        return app

    def ad_sp_list(self, options: Options) -> Any:
        return [one for one in self.cloud["principals"] if f"appId eq '{one['appId']}'" == options["--filter"]]

    def ad_sp_create(self, options: Options) -> Any:
        return self._named(self.cloud["principals"], options, appId=options["--id"])

    def ad_app_federated_credential_list(self, options: Options) -> Any:
        return self.cloud["federations"].get(options["--id"], [])

    def ad_app_federated_credential_create(self, options: Options) -> None:
        self._trust(options["--id"], json.loads(options["--parameters"]))

    def ad_app_federated_credential_update(self, options: Options) -> None:
        wanted = json.loads(options["--parameters"])
        known = self.cloud["federations"].get(options["--id"], [])
        former = next((one for one in known if one["name"] == options["--federated-credential-id"]), None)
        if former is None or wanted["name"] != former["name"]:
            sys.exit("fake az: there is no such federated credential, or it would get another name")
        known.remove(former)
        self._trust(options["--id"], wanted)

    def ad_app_federated_credential_delete(self, options: Options) -> None:
        known = self.cloud["federations"][options["--id"]]
        known[:] = [one for one in known if one["name"] != options["--federated-credential-id"]]

    def _trust(self, client_id: str, wanted: dict[str, Any]) -> None:
        """Take a credential in, within the bounds that the directory documents."""
        known = self.cloud["federations"].setdefault(client_id, [])
        if client_id not in {app["appId"] for app in self.cloud["apps"]}:
            sys.exit(f"fake az: Resource '{client_id}' does not exist")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}", wanted["name"]):
            sys.exit(f"fake az: Invalid value specified for property 'name': {wanted['name']}")
        if not all(0 < len(text) <= 600 for text in (wanted["issuer"], wanted["subject"], *wanted["audiences"])):
            sys.exit("fake az: a property is empty or too long")
        for one in known:
            if one["name"] == wanted["name"] or (one["issuer"], one["subject"]) == (
                wanted["issuer"],
                wanted["subject"],
            ):
                sys.exit("fake az: FederatedIdentityCredential exists already: by its name, or by issuer and subject")
        if len(known) >= 20:
            sys.exit("fake az: The number of federated identity credentials exceeds the maximum of 20")
        known.append(wanted)

    def login(self, options: Options) -> Any:
        """Exchange the token of another issuer: the trust must match exactly."""
        payload = options["--federated-token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        known = self.cloud["federations"].get(options["--username"], [])
        issued = [one for one in known if one["issuer"] == claims["iss"]]
        if not issued:
            sys.exit(
                "fake az: AADSTS700211: No matching federated identity record found for presented assertion issuer"
            )
        subject = f"for presented assertion subject '{claims['sub']}'"
        if not any(one["subject"] == claims["sub"] for one in issued):
            if any(one["subject"].lower() == claims["sub"].lower() for one in issued):
                sys.exit(
                    f"fake az: AADSTS7002138: No matching federated identity record found {subject}. Case-sensitive"
                )
            sys.exit(f"fake az: AADSTS700213: No matching federated identity record found {subject}")
        if not any(one["subject"] == claims["sub"] and claims["aud"] in one["audiences"] for one in issued):
            sys.exit("fake az: AADSTS700212: No matching federated identity record found for presented audience")
        return [{"id": SUBSCRIPTION, "user": {"name": options["--username"], "type": "servicePrincipal"}}]

    def ad_group_list(self, options: Options) -> Any:
        return self._starting(self.cloud["teams"], options)

    def ad_group_create(self, options: Options) -> Any:
        return self._named(self.cloud["teams"], options)

    def ad_group_show(self, options: Options) -> Any:
        if self.cloud.get("hidden"):
            sys.exit("fake az: Insufficient privileges to complete the operation.")
        return {"id": options["--group"]}

    def ad_group_member_check(self, options: Options) -> Any:
        return {"value": options["--member-id"] in self.cloud["members"].get(options["--group"], [])}

    def ad_group_member_add(self, options: Options) -> None:
        self.cloud["members"].setdefault(options["--group"], []).append(options["--member-id"])

    def _patch(self, object_id: str, body: dict[str, Any]) -> None:
        """Change a registration, unless the directory would not."""
        app = next(one for one in self.cloud["apps"] if one["id"] == object_id)
        api, scopes = body.get("api", app["api"]), app["api"]["oauth2PermissionScopes"]
        _keep(scopes, api["oauth2PermissionScopes"])
        _keep(app["appRoles"], body.get("appRoles", app["appRoles"]))
        granted = {id_ for one in api.get("preAuthorizedApplications", []) for id_ in one["delegatedPermissionIds"]}
        if not granted <= {scope["id"] for scope in scopes}:
            sys.exit("fake az: api.preAuthorizedApplications has a Permission Id that cannot be found")
        for uri in body.get("identifierUris", []):
            if uri != f"api://{app['appId']}":
                sys.exit(f"fake az: {uri} must contain the application's id")
        known = {one["appId"] for one in self.cloud["apps"]} | {GRAPH}
        if not {one["resourceAppId"] for one in body.get("requiredResourceAccess", [])} <= known:
            sys.exit("fake az: requiredResourceAccess names an application that is not there")
        app |= body

    def _grant_app_role(self, wanted: dict[str, Any]) -> None:
        principals = {one["id"]: one["appId"] for one in self.cloud["principals"]}
        roles = [
            role
            for app in self.cloud["apps"]
            if app["appId"] == principals.get(wanted["resourceId"])
            for role in app["appRoles"]
            if role["id"] == wanted["appRoleId"] and "Application" in role["allowedMemberTypes"]
        ]
        if not roles or wanted["principalId"] not in principals or wanted in self.cloud["granted"]:
            sys.exit("fake az: Permission being assigned was not found on application, or exists already")
        self.cloud["granted"].append(wanted)

    def _starting(self, known: list[dict[str, Any]], options: Options) -> list[dict[str, Any]]:
        return [one for one in known if one["displayName"].startswith(options["--display-name"])]

    def _named(self, known: list[dict[str, Any]], options: Options, **more: str) -> dict[str, Any]:
        known.append({"displayName": options["--display-name"], "id": str(uuid.uuid4()), **more})
        return known[-1]


class Azure(Directory):
    """The commands for what stands in the subscription. One method for each command."""

    def account_show(self, options: Options) -> Any:
        chosen = options["--subscription"] or SUBSCRIPTION
        if chosen not in (SUBSCRIPTION, OTHER_SUBSCRIPTION):
            sys.exit(f"fake az: The subscription of '{chosen}' doesn't exist in cloud 'AzureCloud'.")
        name = {SUBSCRIPTION: "Test", OTHER_SUBSCRIPTION: "Other"}[chosen]
        return {"id": chosen, "tenantId": TENANT, "name": name, "user": {"name": "ann@example.com"}}

    def ad_signed_in_user_show(self, _options: Options) -> Any:
        return {"id": ME, "userPrincipalName": "ann@example.com"}

    def provider_list(self, _options: Options) -> Any:
        return [{"namespace": name, "registrationState": "Registered"} for name in self.cloud["providers"]]

    def provider_register(self, options: Options) -> None:
        self.cloud["providers"].append(options["--namespace"])

    def functionapp_list_flexconsumption_locations(self, _options: Options) -> Any:
        return [{"name": name} for name in ("westeurope", "swedencentral")]

    def postgres_flexible_server_list_skus(self, _options: Options) -> Any:
        self._require("Microsoft.DBforPostgreSQL")
        sizes: list[str] = self.cloud.get("sizes", ["Standard_B1ms", "Standard_D2ds_v5"])
        standby = self.cloud.get("standby", "Enabled")
        editions = [{"name": "All", "supportedServerSkus": [{"name": size} for size in sizes]}]
        return [{"supportedServerEditions": editions, "zoneRedundantHaSupported": standby, "restricted": "Disabled"}]

    def storage_blob_list(self, _options: Options) -> Any:
        return self._after_a_while()

    def keyvault_key_show(self, _options: Options) -> Any:
        return self._after_a_while()

    def _require(self, namespace: str) -> None:
        if namespace not in self.cloud["providers"]:
            sys.exit(f"fake az: MissingSubscriptionRegistration: the subscription is not registered to use {namespace}")

    def _after_a_while(self) -> list[Any]:
        """Refuse as long as a new role has no effect."""
        if self.cloud.get("lag", 0) > 0:
            self.cloud["lag"] -= 1
            raise Refused("You do not have the required permissions needed to perform this operation.")
        return []

    def group_exists(self, options: Options) -> Any:
        return options["--name"] in self.cloud["groups"]

    def group_create(self, options: Options) -> None:
        self.cloud["groups"].append(options["--name"])

    def resource_list(self, _options: Options) -> Any:
        return [{"id": id_} for id_ in self.cloud["resources"]]

    def storage_account_create(self, options: Options) -> None:
        self._add("Microsoft.Storage/storageAccounts", options)

    def storage_account_blob_service_properties_update(self, _options: Options) -> None:
        pass

    def keyvault_create(self, options: Options) -> None:
        self._add("Microsoft.KeyVault/vaults", options)

    def storage_container_rm_exists(self, options: Options) -> Any:
        return {"exists": options["--name"] in self.cloud["containers"]}

    def storage_container_rm_create(self, options: Options) -> None:
        self.cloud["containers"].append(options["--name"])

    def role_assignment_list(self, _options: Options) -> Any:
        return self.cloud["assignments"]

    def role_assignment_create(self, options: Options) -> None:
        self.cloud["assignments"].append(
            {
                "principalId": options["--assignee-object-id"],
                "roleDefinitionName": options["--role"],
                "scope": options["--scope"],
                "condition": options["--condition"],
            }
        )

    def rest(self, options: Options) -> Any:
        address = options["--url"].partition("?")[0]
        if options["--method"] == "get":
            granted = address.endswith("/appRoleAssignments")
            return {"value": self.cloud["granted"] if granted else [{"name": name} for name in self.cloud["keys"]]}
        if options["--method"] == "post" and address.endswith("/checkNameAvailability"):
            self._require("Microsoft.DBforPostgreSQL")
            wanted = json.loads(options["--body"])["name"]
            kept = wanted in self.cloud.get("kept_names", [])
            return {"nameAvailable": not kept, "reason": "AlreadyExists" if kept else "", "message": "Not available."}
        if options["--method"] == "post":
            self._grant_app_role(json.loads(options["--body"]))
            return None
        if options["--method"] == "put":
            self.cloud["keys"].append(address.rpartition("/")[2])
        else:
            self._patch(address.rpartition("/")[2], json.loads(options["--body"]))
        return None

    def _add(self, kind: str, options: Options) -> None:
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{options['--resource-group']}"
        self.cloud["resources"].append(f"{group}/providers/{kind}/{options['--name']}")


class Refused(Exception):
    """A command fails, and what it changed is kept."""


def _keep(there: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    if any(one["isEnabled"] and one not in wanted for one in there):
        sys.exit("fake az: permission (scope or role) cannot be deleted or updated unless disabled first")
    if len({one["id"] for one in wanted}) < len(wanted) or len({one["value"] for one in wanted}) < len(wanted):
        sys.exit("fake az: two permissions are the same")


def main(command: list[str]) -> None:
    """Carry out one command and print its answer."""
    file = Path(os.environ["FAKE_AZ"])
    azure = Azure(json.loads(file.read_text()) if file.exists() else {})
    azure.cloud["log"].append(command)
    first = next((n for n, word in enumerate(command) if word.startswith("--")), len(command))
    method = getattr(azure, "_".join(command[:first]).replace("-", "_"), None)
    if method is None:
        sys.exit(f"fake az: does not know {' '.join(command[:first])}")
    try:
        answer = method(defaultdict(str, {command[n]: command[n + 1] for n in range(first, len(command) - 1)}))
    except Refused as refused:
        sys.exit(f"fake az: {refused}")
    finally:
        file.write_text(json.dumps(azure.cloud, indent=1))
    if answer is not None:
        print(json.dumps(answer))  # noqa: T201 (what az does)


if __name__ == "__main__":
    main(sys.argv[1:])
