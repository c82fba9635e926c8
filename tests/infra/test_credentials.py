"""Who deploys: whoever signed in, or the pipeline's own identity."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.identity import (
    AzureCliCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)

from infra.credentials import SCM_SCOPE, NotSignedIn, deployer_credential, deployer_token
from tools.local_stack import ports
from tools.rehearsal.tokens import TokenEndpoint

PIPELINE = {"ARM_TENANT_ID": "11111111-1111-1111-1111-111111111111", "ARM_CLIENT_ID": "client"}


class GitHub(BaseHTTPRequestHandler):
    """Where a workflow asks who it is."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        allowed = self.headers["Authorization"] == "Bearer of the job"
        body = json.dumps({"value": "an assertion"} if allowed else {}).encode()
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def github() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (GitHub,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2", asked
    server.shutdown()
    server.server_close()


def test_a_machine_with_an_identity_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*(name for name in os.environ if name.startswith("ARM_")), "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)
    endpoint = TokenEndpoint()
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    assert endpoint.is_valid(deployer_token(SCM_SCOPE), "https://management.azure.com")
    endpoint.close()


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({}, AzureCliCredential),
        ({"AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "x", "AZURE_TENANT_ID": "x"}, AzureCliCredential),
        (PIPELINE, AzureCliCredential),
        (PIPELINE | {"ARM_CLIENT_SECRET": "x"}, ClientSecretCredential),
        (PIPELINE | {"ARM_CLIENT_SECRET": "x", "ARM_USE_MSI": "true"}, ClientSecretCredential),
        ({"ARM_USE_MSI": "true"}, ManagedIdentityCredential),
        (PIPELINE | {"ARM_USE_MSI": "1"}, ManagedIdentityCredential),
        (PIPELINE | {"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "x"}, ClientAssertionCredential),
        (PIPELINE | {"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN_FILE_PATH": "x"}, ClientAssertionCredential),
        (PIPELINE | {"ARM_CLIENT_SECRET": "x", "ACTIONS_ID_TOKEN_REQUEST_URL": "x"}, ClientAssertionCredential),
    ],
)
def test_the_database_is_set_up_as_whom_the_provider_signs_in(environment: dict[str, str], kind: type) -> None:
    assert type(deployer_credential(environment)) is kind


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ARM_CLIENT_SECRET": "x"}, "ARM_TENANT_ID and ARM_CLIENT_ID"),
        ({"ARM_CLIENT_SECRET": "x", "ARM_TENANT_ID": "x"}, "ARM_CLIENT_ID"),
        (PIPELINE | {"ARM_USE_OIDC": "true"}, "ARM_OIDC_TOKEN_FILE_PATH"),
        (PIPELINE | {"ARM_CLIENT_CERTIFICATE_PATH": "/nowhere.pem"}, "ARM_CLIENT_CERTIFICATE_PATH"),
    ],
)
def test_what_a_way_to_sign_in_lacks_is_named(environment: dict[str, str], named: str) -> None:
    with pytest.raises(NotSignedIn, match=named):
        deployer_credential(environment)


def test_the_assertion_of_another_pipeline_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    environment = PIPELINE | {"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN_FILE_PATH": str(file)}
    credential = deployer_credential(environment)
    assert isinstance(credential, ClientAssertionCredential)
    for text in ("first", "second"):
        file.write_text(f"{text}\n")
        assert credential._func() == text


def test_nobody_signed_in_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    class Nobody:
        def get_token(self, *_scopes: str) -> None:
            raise ClientAuthenticationError("nobody is signed in\nand a long list of attempts")

    monkeypatch.setattr("infra.credentials.deployer_credential", lambda _environment: Nobody())
    with pytest.raises(NotSignedIn, match=r"nobody is signed in\. Run `az login`"):
        deployer_token(SCM_SCOPE)


def test_a_pipeline_asks_for_a_new_assertion_each_time(github: tuple[str, list[str]]) -> None:
    url, asked = github
    environment = PIPELINE | {
        "ACTIONS_ID_TOKEN_REQUEST_URL": url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the job",
    }
    credential = deployer_credential(environment)
    assert isinstance(credential, ClientAssertionCredential)
    assert [credential._func(), credential._func()] == ["an assertion", "an assertion"]
    assert asked == ["/token?api-version=2&audience=api://AzureADTokenExchange"] * 2


@pytest.mark.parametrize("token", [{"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "wrong"}, {}])
def test_a_pipeline_without_permission_is_told_which(github: tuple[str, list[str]], token: dict[str, str]) -> None:
    environment = PIPELINE | {"ACTIONS_ID_TOKEN_REQUEST_URL": github[0]} | token
    credential = deployer_credential(environment)
    assert isinstance(credential, ClientAssertionCredential)
    with pytest.raises(NotSignedIn, match="id-token: write"):
        credential._func()


def test_a_pipeline_that_nobody_answers_is_told_to_repeat() -> None:
    (port,) = ports.choose_ports(1)
    environment = PIPELINE | {"ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{port}/token?api-version=2"}
    credential = deployer_credential(environment)
    assert isinstance(credential, ClientAssertionCredential)
    with pytest.raises(NotSignedIn, match=r"GitHub .*run the workflow again"):
        credential._func()


def test_a_pipeline_without_an_app_registration_is_told() -> None:
    with pytest.raises(NotSignedIn, match="ARM_TENANT_ID and ARM_CLIENT_ID"):
        deployer_credential({"ACTIONS_ID_TOKEN_REQUEST_URL": "x"})
