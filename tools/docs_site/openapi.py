"""Prints the OpenAPI document of the app. A separate program, since the app takes its settings from the environment."""

from __future__ import annotations

import asyncio
import secrets
import sys
from pathlib import Path

import httpx
from starlette.types import ASGIApp

_FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
#: Complete, but of servers that are never called.
SETTINGS = {
    "AUTH_MODE": "invite",
    "ENVIRONMENT": "local",
    **{name: secrets.token_urlsafe(32) for name in ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")},
    "DATABASE_URL": "postgresql://docs:docs@127.0.0.1/docs",
    "QueuesConn": "AccountName=docs;AccountKey=ZG9jcw==",
    "BlobsConn": "AccountName=docs;AccountKey=ZG9jcw==",
    "SIGNALR_CONNECTION": "Endpoint=http://127.0.0.1;AccessKey=docs;",
    "SWEEP_SCHEDULE": "*/15 * * * * *",
}


def main() -> None:
    """Print the document as JSON."""
    sys.path.insert(0, str(_FUNCTIONS))  # as the host does
    from api.app import create_api
    from services import services

    sys.stdout.write(asyncio.run(_served(create_api(services(), web=_FUNCTIONS))))


async def _served(api: ASGIApp) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1") as client:
        response = await client.get("/api/openapi.json")
        return response.raise_for_status().text


if __name__ == "__main__":
    main()
