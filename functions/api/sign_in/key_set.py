"""The public keys of the identity provider: fetched rarely, cached, and looked up by key id only."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from queued_jobs._per_loop import PerLoop

logger = logging.getLogger(__name__)

_KEPT = timedelta(minutes=10)
#: How long cached keys are used while the provider is unavailable.
_MAX_AGE_IN_USE = timedelta(hours=1)
#: Minimum time between fetches: tokens with unknown key ids must not cause a fetch each.
_BETWEEN_FETCHES = timedelta(seconds=30)
_WITHOUT_KEYS = timedelta(seconds=3)
_PATIENCE = 5.0
_MAX_BYTES = 64 * 1024
_MIN_RSA_BITS = 2048
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class KeysUnavailable(Exception):
    """There are no cached keys, and the provider is unavailable."""


class KeySet:
    """The signing keys of one issuer, located by its discovery document."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._token_origin: str | None = None
        self._fetched_at = -float("inf")
        self._tried_at = -float("inf")
        self._turn = PerLoop(asyncio.Lock)

    async def find(self, key_id: str, algorithm: str) -> Any | None:
        """Return the key with this id for this algorithm; None if the provider has no such key.

        Raises `KeysUnavailable` if no keys are known and none can be fetched.
        """
        if self._age() > _KEPT.total_seconds() or key_id not in self._keys:
            await self._refresh(key_id)
        if self._age() > _MAX_AGE_IN_USE.total_seconds():
            raise KeysUnavailable
        found = self._keys.get(key_id)
        return found.key if found is not None and _fits(found, algorithm) else None

    async def token_origin(self) -> str | None:
        """Return scheme, host and port of the token endpoint; None while the provider is unavailable."""
        if self._age() > _KEPT.total_seconds():
            await self._refresh(None)
        return self._token_origin

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _refresh(self, key_id: str | None) -> None:
        async with self._turn.get():
            # another request has fetched the keys in the meantime
            fresh = self._age() <= _KEPT.total_seconds() and (key_id is None or key_id in self._keys)
            if fresh or self._clock() - self._tried_at < _BETWEEN_FETCHES.total_seconds():
                return
            self._tried_at = self._clock()
            try:
                async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(follow_redirects=False) as client:
                    self._keys = await self._fetch(client)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RecursionError) as exc:
                logger.error("could not fetch the keys of %s: %s: %s", self._issuer, type(exc).__name__, exc)
                if not self._keys:
                    # no caller can sign in without them, so retry soon
                    self._tried_at -= (_BETWEEN_FETCHES - _WITHOUT_KEYS).total_seconds()
                return
            self._fetched_at = self._clock()

    async def _fetch(self, client: httpx.AsyncClient) -> dict[str, jwt.PyJWK]:
        found = await _document(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        address = found.get("jwks_uri")
        if found.get("issuer") != self._issuer:
            raise ValueError(f"its discovery document names {found.get('issuer')!r}; set OIDC_ISSUER to exactly that")
        if not isinstance(address, str) or not (address.startswith("https://") or self._issuer.startswith("http://")):
            raise ValueError("its jwks_uri is not a valid https URL")
        self._token_origin = _origin(found.get("token_endpoint"), loopback=self._issuer.startswith("http://"))
        keys = {}
        entries = (await _document(client, address)).get("keys")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("use", "sig") == "sig" and isinstance(entry.get("kid"), str):
                try:
                    keys[entry["kid"]] = jwt.PyJWK(entry)
                except Exception as exc:  # noqa: BLE001 (one odd key must not hide the others)
                    logger.warning("key %r of %s cannot be used: %s", entry["kid"], self._issuer, exc)
        return keys


def _origin(address: object, *, loopback: bool) -> str | None:
    """Return the origin of an https URL (on this machine also of an http URL); None for anything else."""
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or parts.scheme not in (("https", "http") if loopback else ("https",)):
        return None
    # it becomes part of a header, so only valid characters of a host are allowed
    return f"{parts.scheme}://{parts.netloc}" if _HOST.fullmatch(parts.netloc) else None


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    """Return whether the key fits the algorithm and is strong: a token must not choose how a key is used."""
    return key.algorithm_name == algorithm and (key.key_type != "RSA" or key.key.key_size >= _MIN_RSA_BITS)


async def _document(client: httpx.AsyncClient, address: str) -> dict[str, Any]:
    content = b""
    async with client.stream("GET", address) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"{address} returned {response.status_code}")
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _MAX_BYTES:
                raise ValueError(f"the response of {address} is larger than {_MAX_BYTES:,} bytes")
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError(f"the response of {address} is not a JSON object")
    return document
