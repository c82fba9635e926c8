"""Services that take no keys: tokens of one identity open them, and each checks what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.entra import Entra
from tests.support.hub import ControlledHub
from tests.support.tls import Certificate, make_certificate
from tests.support.waiting import PATIENCE_SECONDS
from tools.local_stack.azurite import AzuriteServer
from tools.local_stack.process import Command


class KeylessAzurite(AzuriteServer):
    """Azurite over TLS that checks issuer, audience and times of tokens. Roles and signatures it does not know."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(None)
        self.certificate = certificate

    @property
    def blob_endpoint(self) -> str:
        return super().blob_endpoint.replace("http:", "https:")

    @property
    def queue_endpoint(self) -> str:
        return super().queue_endpoint.replace("http:", "https:")

    def _command(self) -> Command:
        command = super()._command()
        tls = ["--cert", str(self.certificate.certificate), "--key", str(self.certificate.key)]
        return replace(command, arguments=[*command.arguments, "--oauth", "basic", *tls])


class KeylessHub(ControlledHub):
    """The emulator of Azure SignalR Service with its access key switched off."""

    def __init__(self, public_key: Path) -> None:
        super().__init__("the-service-signs-tokens-of-clients-with-it-alone")
        self._public_key = public_key

    def _command(self) -> Command:
        command = super()._command()
        return replace(command, arguments=[*command.arguments, "--entra-key", str(self._public_key)])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def one_entra() -> Iterator[Entra]:
    entra = Entra()
    yield entra
    entra.close()


@pytest.fixture
def entra(one_entra: Entra, monkeypatch: pytest.MonkeyPatch) -> Entra:
    """The identity endpoint, with this process as the app in Azure."""
    one_entra.reset()
    for name, value in one_entra.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "queued_jobs.identity.TOKEN_TIMEOUT", timedelta(seconds=PATIENCE_SECONDS)
    )  # what is not about it should not meet it
    return one_entra


@pytest.fixture(scope="session")
def keyless_azurite(certificate: Certificate) -> Iterator[KeylessAzurite]:
    server = KeylessAzurite(certificate)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def keyless_hub(one_entra: Entra, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeylessHub]:
    public_key = tmp_path_factory.mktemp("entra") / "public.pem"
    public_key.write_text(one_entra.public_key)
    server = KeylessHub(public_key)
    server.start()
    yield server
    server.stop()
