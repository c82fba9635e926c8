"""The deployer's credential, with which `pulumi up` accesses the app's SCM site and Postgres."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

SCM_SCOPE = "https://management.azure.com/.default"
POSTGRES_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class NotSignedIn(Exception):
    """The deployer has no Azure identity; the message has the reason and the remedy."""


def deployer_token(scope: str) -> str:
    """Return a token of the deployer for the scope. Raises `NotSignedIn`."""
    from azure.core.exceptions import AzureError

    try:
        return deployer_credential(os.environ).get_token(scope).token
    except AzureError as error:
        reason = next(iter(str(error).splitlines()), "no reason given")
        raise NotSignedIn(
            f"Azure did not issue a token for {scope}: {reason.rstrip('.')}. "
            "Run `az login` and the command again; in a pipeline sign in with the federated identity."
        ) from error


def deployer_credential(environment: Mapping[str, str]) -> TokenCredential:
    """Return the pipeline's identity in GitHub Actions, otherwise the developer's sign-in, such as by `az login`.

    A workflow's assertion expires within minutes and creating a database server takes longer, so each token requests
    a new one.
    """
    from azure.identity import ClientAssertionCredential, DefaultAzureCredential

    if "ACTIONS_ID_TOKEN_REQUEST_URL" not in environment:
        return DefaultAzureCredential()
    missing = [name for name in ("ARM_TENANT_ID", "ARM_CLIENT_ID") if not environment.get(name)]
    if missing:
        raise NotSignedIn(
            f"The workflow may ask for an identity, but {' and '.join(missing)} is not set: "
            "set it to the app registration that the stack is deployed with."
        )
    return ClientAssertionCredential(
        environment["ARM_TENANT_ID"], environment["ARM_CLIENT_ID"], lambda: _workflow_assertion(environment)
    )


def _workflow_assertion(environment: Mapping[str, str]) -> str:
    import httpx

    bearer = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN") or "none"
    try:
        response = httpx.get(
            # appended manually: httpx would replace the URL's own parameters
            f"{environment['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=api://AzureADTokenExchange",
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=30,
        )
    except httpx.HTTPError as error:
        raise NotSignedIn(f"GitHub did not issue the workflow's identity ({error}); run the workflow again.") from error
    if response.status_code != httpx.codes.OK:
        raise NotSignedIn(
            f"GitHub did not issue the workflow's identity (status {response.status_code}): "
            "the job needs `permissions: id-token: write`."
        )
    assertion: str = response.json()["value"]
    return assertion
