"""The deployer's credential, with which `pulumi up` accesses the app's SCM site and Postgres."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

SCM_SCOPE = "https://management.azure.com/.default"
POSTGRES_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"
#: Each of these variables selects a different identity than `az login`.
OTHER_IDENTITIES = (
    "ARM_USE_OIDC",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ARM_CLIENT_SECRET",
    "ARM_CLIENT_CERTIFICATE_PATH",
    "ARM_USE_MSI",
)


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
    """Return the identity that Pulumi's Azure provider uses, chosen by the same variables in the same order.

    OIDC (ARM_USE_OIDC), a client secret, a client certificate, a managed identity (ARM_USE_MSI), then `az login`.
    Raises `NotSignedIn` where a variable is missing.
    """
    from azure.identity import (
        AzureCliCredential,
        CertificateCredential,
        ClientAssertionCredential,
        ClientSecretCredential,
        ManagedIdentityCredential,
    )

    def principal(method: str) -> tuple[str, str]:
        missing = [name for name in ("ARM_TENANT_ID", "ARM_CLIENT_ID") if not environment.get(name)]
        if missing:
            raise NotSignedIn(
                f"{method} is set, but {' and '.join(missing)} is not: "
                "set it to the app registration that the stack is deployed with."
            )
        return environment["ARM_TENANT_ID"], environment["ARM_CLIENT_ID"]

    if _is_set(environment, "ARM_USE_OIDC") or "ACTIONS_ID_TOKEN_REQUEST_URL" in environment:
        assertion = _assertion(environment)
        return ClientAssertionCredential(*principal("Sign-in by OIDC"), assertion)
    if environment.get("ARM_CLIENT_SECRET"):
        return ClientSecretCredential(*principal("ARM_CLIENT_SECRET"), environment["ARM_CLIENT_SECRET"])
    if path := environment.get("ARM_CLIENT_CERTIFICATE_PATH"):
        password = environment.get("ARM_CLIENT_CERTIFICATE_PASSWORD")
        try:
            return CertificateCredential(*principal("ARM_CLIENT_CERTIFICATE_PATH"), path, password=password)
        except (OSError, ValueError) as error:
            raise NotSignedIn(f"ARM_CLIENT_CERTIFICATE_PATH cannot be used: {error}") from error
    if _is_set(environment, "ARM_USE_MSI"):
        return ManagedIdentityCredential(client_id=environment.get("ARM_CLIENT_ID") or None)
    return AzureCliCredential()


def _is_set(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in ("1", "true")


def _assertion(environment: Mapping[str, str]) -> Callable[[], str]:
    """Return where each token gets a new assertion: one expires in minutes, creating a server takes longer."""
    if token := environment.get("ARM_OIDC_TOKEN"):
        return lambda: token
    if path := environment.get("ARM_OIDC_TOKEN_FILE_PATH"):
        return lambda: Path(path).read_text().strip()
    url = environment.get("ARM_OIDC_REQUEST_URL") or environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environment.get("ARM_OIDC_REQUEST_TOKEN") or environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN") or "none"
    if not url:
        raise NotSignedIn(
            "ARM_USE_OIDC is set, but the pipeline does not offer an identity: set ARM_OIDC_TOKEN or "
            "ARM_OIDC_TOKEN_FILE_PATH, or in GitHub Actions `permissions: id-token: write`."
        )
    return lambda: _workflow_assertion(url, bearer)


def _workflow_assertion(url: str, bearer: str) -> str:
    import httpx

    try:
        response = httpx.get(
            # appended manually: httpx would replace the URL's own parameters
            f"{url}&audience=api://AzureADTokenExchange",
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
