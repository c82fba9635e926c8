"""The `scripts/bootstrap` command: prepares a subscription for a shared stack and its pipeline, once."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from infra import roles
from infra.naming import Names
from infra.project import PROJECT, key
from scripts.azure.arguments import region, stack_name
from scripts.azure.cli import AzureCli, AzureError
from scripts.azure.directory import ensure_application, ensure_federation, ensure_group
from scripts.azure.github import ENVIRONMENT, ISSUER, GitHubError, Repository, Subjects, find_gaps, find_subjects
from scripts.azure.providers import register_providers
from scripts.azure.sign_in import SCOPE, ensure_api, ensure_page, ensure_trust, ensure_user_role

_MAY_GRANT: Final = "Role Based Access Control Administrator"
_KEY_API: Final = "2023-07-01"
#: Characters that the directory accepts.
_MAX_SUBJECT: Final = 600
#: A new role takes minutes until it has an effect.
_EFFECTIVE_WITHIN: Final = timedelta(minutes=10)
_PAUSE: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateStore:
    """The storage of the stack's state, and the key that encrypts secrets in it."""

    account: str
    account_id: str
    vault: str
    vault_id: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 = everything exists, 1 = failed."""
    options = _parser().parse_args(arguments)
    try:
        azure = AzureCli(dry_run=options.dry_run)
        account = azure.ask("account", "show")
        me = azure.ask("ad", "signed-in-user", "show")
        subjects = options.subject or find_subjects(options.repository)
        names = Names(
            project=PROJECT, stack=options.stack, subscription_id=account["id"], generation=options.generation
        )
        register_providers(azure)
        store = _ensure_state_store(azure, account["id"], options.location)
        prefix = f"{PROJECT}-{options.stack}"
        preview_client, preview = ensure_application(azure, f"{prefix}-preview")
        deploy_client, deploy = ensure_application(azure, f"{prefix}-deploy")
        api_client, api_principal = ensure_application(azure, f"{prefix}-api")
        page_client, _ = ensure_application(azure, f"{prefix}-page")
        for client, environment in ((preview_client, "preview"), (deploy_client, "prod")):
            ensure_federation(azure, client, issuer=options.issuer, subjects=subjects.of(environment))
        _grant_all(azure, account["id"], store, preview=preview, deploy=deploy, me=me["id"])
        _wait_for_roles(azure, store)
        group = f"{prefix}-database-admins"
        group_id = ensure_group(azure, group, {f"{prefix}-deploy": deploy, me["userPrincipalName"]: me["id"]})
        api = ensure_api(azure, api_client)
        ensure_page(azure, page_client, site=names.site, api=api)
        ensure_trust(azure, api, page=page_client)
        ensure_user_role(azure, api, application=api_principal, principal=deploy)
    except (AzureError, GitHubError) as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bootstrap: interrupted; run it again to create what is missing", file=sys.stderr)
        return 130
    print(f"azure    | {azure.changes} changes{' would be made' if options.dry_run else ', everything is in place'}\n")
    variables = {
        "AZURE_TENANT_ID": account["tenantId"],
        "AZURE_SUBSCRIPTION_ID": account["id"],
        "AZURE_PREVIEW_CLIENT_ID": preview_client,
        "AZURE_DEPLOY_CLIENT_ID": deploy_client,
        "AZURE_API_CLIENT_ID": api_client,
        "PULUMI_STACK": options.stack,
        "PULUMI_BACKEND_URL": f"azblob://state?storage_account={store.account}",
    }
    print("Variables of the repository (none of them is secret):")
    print("".join(f"  {name}={value}\n" for name, value in variables.items()))
    print(f"For Pulumi.{options.stack}.yaml:")
    print(_stack_file(account, options, group, group_id, api=api_client, page=page_client))
    print(f"\nUsers need a role to sign in. Assign user, viewer or admin of {prefix}-api:")
    print("in the portal under Enterprise applications, Users and groups.")
    key = f"azurekeyvault://{store.vault}.vault.azure.net/keys/pulumi"
    print(f"\nOnce, in this checkout:\n  pulumi login '{variables['PULUMI_BACKEND_URL']}'")
    print(f"  pulumi stack init {options.stack} --secrets-provider={key}")
    _check_environment(options.repository, "prod")
    return 0


def _check_environment(repository: Repository, environment: str) -> None:
    """Print a note unless the jobs that may deploy wait for a reviewer."""
    try:
        gaps = find_gaps(repository, environment)
    except GitHubError as error:
        gaps = [f"its protection is unknown: {error.reason}"]
    if gaps:
        print(
            f"\nNOTE: The environment {environment} of {repository.by_name} is not protected: {'; '.join(gaps)}. "
            "Anyone who can push a branch could deploy from it. In the repository, under Settings, Environments, "
            f"{environment}: add required reviewers, and allow the branch main only. Then run this again."
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bootstrap",
        description="Create what a pipeline needs to deploy: storage for Pulumi's state, identities that sign in "
        "without a secret, a group of database administrators, app registrations for the API and the page. "
        "Existing resources are not changed.",
    )
    parser.add_argument(
        "--stack", type=stack_name, default="prod", metavar="NAME", help="the stack to prepare for (default: prod)"
    )
    parser.add_argument(
        "--location", required=True, type=region, metavar="REGION", help="a region's short name, such as westeurope"
    )
    parser.add_argument(
        "--repository",
        required=True,
        type=_repository,
        metavar="OWNER/NAME",
        help="on GitHub; its ids are looked up with gh, or given as OWNER@OWNER_ID/NAME@ID",
    )
    parser.add_argument(
        "--subject",
        type=_subject,
        metavar="SUBJECT",
        help=f"the subject of its jobs' tokens, with {ENVIRONMENT} in place of the environment: for a "
        "customised subject",
    )
    parser.add_argument(
        "--issuer",
        type=_issuer,
        default=ISSUER,
        metavar="URL",
        help=f"the issuer of the tokens, for enterprises that have their own (default: {ISSUER})",
    )
    parser.add_argument(
        "--generation",
        type=int,
        default=1,
        metavar="NUMBER",
        help="the stack's configuration key of that name, if it was destroyed and is created again (default: 1)",
    )
    parser.add_argument("--dry-run", action="store_true", help="change nothing, print the commands")
    return parser


def _repository(text: str) -> Repository:
    repository = Repository.parse(text)
    if repository is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid repository; use OWNER/NAME, or OWNER@OWNER_ID/NAME@ID"
        )
    return repository


def _subject(text: str) -> Subjects:
    if text.count(ENVIRONMENT) != 1 or text != text.strip() or not 3 <= len(text) <= _MAX_SUBJECT or "*" in text:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid subject; write it in full, with {ENVIRONMENT} once, in place of the environment"
        )
    return Subjects(patterns={"": text})


def _issuer(text: str) -> str:
    if not re.fullmatch(r"https://[a-z0-9.-]+(/[\w-]+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid issuer; use an https URL without a slash at its end")
    return text


def _ensure_state_store(azure: AzureCli, subscription: str, location: str) -> StateStore:
    names = Names(project=PROJECT, stack="pulumi", subscription_id=subscription)
    group, account, vault = names.resource_group, names.storage_account, f"kv-pulumi-{names.suffix}"
    providers = f"/subscriptions/{subscription}/resourceGroups/{group}/providers"
    store = StateStore(
        account=account,
        account_id=f"{providers}/Microsoft.Storage/storageAccounts/{account}",
        vault=vault,
        vault_id=f"{providers}/Microsoft.KeyVault/vaults/{vault}",
    )
    there = {one["id"].lower() for one in azure.ask("resource", "list", "--tag", "purpose=pulumi-state")}
    where = ("--resource-group", group, "--location", location, "--tags", "purpose=pulumi-state")
    if not azure.ask("group", "exists", "--name", group):
        azure.do(f"create the resource group {group}", "group", "create", "--name", group, "--location", location)
    if store.account_id.lower() not in there:
        kind = ("--sku", "Standard_ZRS", "--kind", "StorageV2", "--min-tls-version", "TLS1_2")
        safe = ("--allow-shared-key-access", "false", "--allow-blob-public-access", "false")
        create = ("storage", "account", "create", "--name", account)
        azure.do(f"create the storage account {account}", *create, *where, *kind, *safe)
        update = ("storage", "account", "blob-service-properties", "update", "--account-name", account)
        azure.do(
            "keep earlier versions of the state", *update, "--resource-group", group, "--enable-versioning", "true"
        )
    if store.vault_id.lower() not in there:
        safe = ("--enable-rbac-authorization", "true", "--enable-purge-protection", "true")
        azure.do(f"create the key vault {vault}", "keyvault", "create", "--name", vault, *where, *safe)
    _ensure_container_and_key(azure, store, group, is_new=store.vault_id.lower() not in there)
    return store


def _ensure_container_and_key(azure: AzureCli, store: StateStore, group: str, *, is_new: bool) -> None:
    """Create both with the control plane, since a data role would take minutes to become effective."""
    container = ("--storage-account", store.account, "--resource-group", group, "--name", "state")
    if is_new or not azure.ask("storage", "container-rm", "exists", *container)["exists"]:
        azure.do("create the container of the state", "storage", "container-rm", "create", *container)
    keys = f"https://management.azure.com{store.vault_id}/keys"
    known = [] if is_new else azure.ask("rest", "--method", "get", "--url", f"{keys}?api-version={_KEY_API}")["value"]
    if not any(key["name"] == "pulumi" for key in known):
        body = json.dumps({"properties": {"kty": "RSA", "keySize": 3072, "keyOps": ["encrypt", "decrypt"]}})
        url = f"{keys}/pulumi?api-version={_KEY_API}"
        azure.do("create the key for secrets in the state", "rest", "--method", "put", "--url", url, "--body", body)


def _grant_all(azure: AzureCli, subscription: str, store: StateStore, *, preview: str, deploy: str, me: str) -> None:
    """Grant what is missing. Previews run unreviewed code, so they get no role on the state and its key."""
    whole = f"/subscriptions/{subscription}"
    grants = [
        (preview, "ServicePrincipal", "Reader", whole),
        (deploy, "ServicePrincipal", "Contributor", whole),
        (deploy, "ServicePrincipal", "Locks Contributor", whole),
        (deploy, "ServicePrincipal", _MAY_GRANT, whole),
        (deploy, "ServicePrincipal", "Storage Blob Data Contributor", store.account_id),
        (deploy, "ServicePrincipal", "Key Vault Crypto User", store.vault_id),
        (me, "User", "Storage Blob Data Contributor", store.account_id),
        (me, "User", "Key Vault Crypto User", store.vault_id),
    ]
    # one call instead of eight: all role assignments on the subscription and below
    known = {
        (one["principalId"], one["roleDefinitionName"], one["scope"].lower())
        for one in azure.ask("role", "assignment", "list", "--all")
    }
    for principal, kind, role, scope in grants:
        if (principal, role, scope.lower()) in known:
            continue
        grant = ["role", "assignment", "create", "--role", role, "--scope", scope]
        grant += ["--assignee-object-id", principal, "--assignee-principal-type", kind]
        if role == _MAY_GRANT:
            grant += ["--condition", _only_our_roles(), "--condition-version", "2.0"]
        azure.do(f"grant {role} on {scope}", *grant)
    allowed = {(principal, role, scope.lower()) for principal, _, role, scope in grants}
    for _, role, scope in sorted(one for one in known - allowed if one[0] == preview):
        print(f"azure    | NOTE: code of any branch has the role {role} on {scope}. Unless previews need it:")
        remove = ("az", "role", "assignment", "delete", "--assignee", preview, "--role", role, "--scope", scope)
        print(f"         |   {shlex.join(remove)}", flush=True)


def _wait_for_roles(azure: AzureCli, store: StateStore) -> None:
    """Wait until the signed-in user can read the state and its key, which `pulumi login` needs."""
    if azure.dry_run:
        return
    container = ("--account-name", store.account, "--container-name", "state", "--auth-mode", "login")
    deadline = time.monotonic() + _EFFECTIVE_WITHIN.total_seconds()
    for probe in (
        ("storage", "blob", "list", *container, "--num-results", "1"),
        ("keyvault", "key", "show", "--vault-name", store.vault, "--name", "pulumi"),
    ):
        said = False
        while not azure.succeeds(*probe):
            if time.monotonic() > deadline:
                print("azure    | NOTE: your new roles have no effect yet; wait a few minutes before pulumi login")
                return
            if not said:
                print("azure    | waiting until your new roles have an effect, which takes a few minutes", flush=True)
            said = True
            time.sleep(_PAUSE.total_seconds())


def _only_our_roles() -> str:
    """Return a condition under which the pipeline may assign and remove only the application's roles."""
    ours = f"ForAnyOfAnyValues:GuidEquals {{{', '.join(roles.APPLICATION)}}}"
    attribute = "[Microsoft.Authorization/roleAssignments:RoleDefinitionId]"
    action = "Microsoft.Authorization/roleAssignments"
    write, delete = (f"!(ActionMatches{{'{action}/{verb}'}})" for verb in ("write", "delete"))
    return f"(({write}) OR (@Request{attribute} {ours})) AND (({delete}) OR (@Resource{attribute} {ours}))"


def _stack_file(
    account: Mapping[str, str], options: argparse.Namespace, group: str, group_id: str, *, api: str, page: str
) -> str:
    tenant = account["tenantId"]
    config = {
        "azure-native:location": options.location,
        "azure-native:subscriptionId": account["id"],
        **({key("generation"): options.generation} if options.generation > 1 else {}),
        key("profile"): "prod",
        key("authMode"): "oidc",
        key("oidcIssuer"): f"https://login.microsoftonline.com/{tenant}/v2.0",
        key("oidcAudience"): api,
        key("oidcClientId"): page,
        key("oidcScope"): f"openid profile offline_access api://{api}/{SCOPE}",
        key("databaseAdminName"): group,
        key("databaseAdminObjectId"): group_id,
        key("databaseAdminType"): "Group",
    }
    return "\n".join(["config:", *(f"  {key}: {value}" for key, value in config.items())])


if __name__ == "__main__":
    sys.exit(main())
