"""Pushes and admission as an identity, to a hub that takes no access key."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from queued_jobs.identity import Identity, Keyless
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.registry import JobRegistry
from tests.integration.keyless.conftest import KeylessHub
from tests.support.entra import Entra
from tools.local_stack.hub_client import listening

RESOURCE = "https://signalr.azure.com"
SEND = "/api/hubs/jobs/:send?api-version=2022-11-01"


@pytest.fixture
async def notifier(entra: Entra, keyless_hub: KeylessHub) -> AsyncIterator[SignalRNotifier]:
    identity = Identity()
    notifier = SignalRNotifier(Keyless(endpoint=keyless_hub.endpoint, identity=identity), JobRegistry([]))
    yield notifier
    await notifier.close()
    await identity.close()


def app_of(notifier: SignalRNotifier) -> httpx.AsyncClient:
    async def negotiate(_request: Request) -> JSONResponse:
        access = await notifier.admit("ann/é", until=time.time() + 3600)
        return JSONResponse({"url": access.url, "accessToken": access.access_token})

    app = Starlette(routes=[Route("/api/negotiate", negotiate, methods=["POST"])])
    only_app = {"http://app": httpx.ASGITransport(app)}
    return httpx.AsyncClient(base_url="http://app", mounts=only_app, trust_env=False)


async def test_a_push_reaches_the_client_that_the_service_admitted(notifier: SignalRNotifier, entra: Entra) -> None:
    before = entra.issued.get(RESOURCE, 0)
    async with app_of(notifier) as api, listening(api) as listener:
        for number in range(3):
            await notifier._send("users/ann%2F%C3%A9", "job", b'{"target":"job","arguments":[%d]}' % number)
        told = listener.invocations()
        assert [await anext(told) for _ in range(3)] == [("job", [0]), ("job", [1]), ("job", [2])]
    assert entra.issued[RESOURCE] == before + 1, "one token for all calls"


async def test_a_client_is_admitted_no_longer_than_its_session(notifier: SignalRNotifier) -> None:
    for minutes, longest in ((7, 7), (500, 60)):
        access = await notifier.admit("ann", until=(until := time.time() + minutes * 60))
        admitted = time.time()
        claims = jwt.decode(access.access_token, options={"verify_signature": False})
        assert claims["nameid"] == "ann"
        assert claims["aud"] == access.url
        assert until - (minutes - longest + 2) * 60 < claims["exp"] <= min(until, admitted + longest * 60) + 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "https://storage.azure.com"}, "Invalid audience: it must be https://signalr.azure.com"),
        ({"exp": 1_700_000_000}, "Invalid token: Signature has expired"),
        ({"nbf": 4_000_000_000}, "Invalid token: The token is not yet valid"),
        ({"oid": None}, "Invalid token"),
    ],
)
def test_the_hub_takes_only_good_tokens(
    keyless_hub: KeylessHub, one_entra: Entra, changes: dict[str, Any], reason: str
) -> None:
    for token, status in ((one_entra.token(RESOURCE), 202), (one_entra.token(RESOURCE, **changes), 401)):
        answer = httpx.post(
            keyless_hub.endpoint + SEND,
            json={"target": "job", "arguments": []},
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert answer.status_code == status, answer.text
    assert reason in answer.json()["message"]


def test_a_token_for_a_client_takes_a_newer_version_of_the_api(keyless_hub: KeylessHub, one_entra: Entra) -> None:
    headers = {"Authorization": f"Bearer {one_entra.token(RESOURCE)}"}
    url = f"{keyless_hub.endpoint}/api/hubs/jobs/:generateToken"
    for query, status in (
        ("api-version=2022-06-01", 400),
        ("api-version=2022-11-01&minutesToExpire=0", 400),
        ("api-version=2022-11-01", 200),
        ("", 400),
    ):
        assert httpx.post(f"{url}?{query}", headers=headers, trust_env=False).status_code == status, query


async def test_the_access_key_opens_nothing(keyless_hub: KeylessHub) -> None:
    notifier = SignalRNotifier(ConnectionString.parse(keyless_hub.connection_string), JobRegistry([]))
    with pytest.raises(PushFailed, match="401"):
        await notifier.add_admin("ann")
    await notifier.close()


async def test_without_a_token_a_push_fails_and_says_why(entra: Entra, notifier: SignalRNotifier) -> None:
    entra.refusing = True
    with pytest.raises(PushFailed, match="https://signalr"):
        await notifier.admit("ann", until=time.time() + 60)
