"""What a rehearsal takes for a secret, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from tools.rehearsal.secrets_check import find_secrets

TELEMETRY = (
    "InstrumentationKey=00000000-0000-0000-0000-000000000000;"
    "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;"
    "ApplicationId=00000000-0000-0000-0000-000000000000"
)


@pytest.mark.parametrize(
    "document",
    [
        {"x": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc"},
        {"x": ["Endpoint=https://a.service.signalr.net;AccessKey=abc;Version=1.0;"]},
        {"x": "https://a.blob.core.windows.net/c/b?sv=1&sig=abc"},
        {"x": "postgresql://me:secret@host/db"},
        {"x": "host=a password=b"},
        {"x": "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQeyJhIjoxfQ.abc"},
        {"x": "A" * 86 + "=="},
        {"x": "-----BEGIN PRIVATE KEY-----"},
        {"x": "well known"},
        {"administratorLoginPassword": "x"},
        {"primaryKey": "x"},
        {"connectionString": "Server=a"},
        {"appSettings": [{"name": "INVITE_SECRET", "value": "x"}]},
    ],
)
def test_it_is_found(document: dict[str, Any]) -> None:
    (found,) = find_secrets({"deployment": document}, known=["well known"])
    assert found.startswith("/deployment/")


@pytest.mark.parametrize(
    "document",
    [
        {"passwordAuth": "Disabled"},
        {"allowSharedKeyAccess": False},
        {"connectionString": TELEMETRY},
        {"appSettings": [{"name": "APPLICATIONINSIGHTS_CONNECTION_STRING", "value": TELEMETRY}]},
        {"secret": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "A" * 86}},
        {"adminUrl": "[secret]"},
        {"appSettings": [{"name": "SESSION_SECRET", "value": "x"}]},
    ],
)
def test_it_is_none(document: dict[str, Any]) -> None:
    assert find_secrets(document, allowed=["SESSION_SECRET"]) == []
