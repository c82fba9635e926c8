"""Creates what the deployment creates in the cloud: tables, queues, containers, the CORS rule of the storage.

Run `python -m tools.local_stack.prepare [APP_DIR]` with the function app's settings in the environment, as often as you
like.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import CorsRule

from queued_jobs.schema import migrate

if TYPE_CHECKING:
    from services import Services

_FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


async def prepare(database_url: str, services: Services) -> None:
    await migrate(database_url)
    async with services.queues as queues:
        await queues.ensure(*services.manager.registry.queues)


def prepare_blobs() -> None:
    from storage import CONTAINERS, blob_service

    for name in CONTAINERS:
        try:
            blob_service().create_container(name)
        except ResourceExistsError:
            continue
    # any origin: storage listens on loopback, and each request needs a signed link
    rule = CorsRule(
        ["*"], ["GET", "PUT", "OPTIONS"], allowed_headers=["*"], exposed_headers=["*"], max_age_in_seconds=60
    )
    blob_service().set_service_properties(cors=[rule])


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    sys.path.insert(0, sys.argv[1] if len(sys.argv) > 1 else str(_FUNCTIONS))  # as the host does
    from services import services
    from settings import Settings, SettingsError

    try:
        settings = Settings.from_environment()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from exc
    try:
        asyncio.run(prepare(settings.database_url, services()))
    except psycopg.OperationalError as exc:
        reason = " ".join(str(exc).split())
        raise SystemExit(
            f"DATABASE_URL: no connection to Postgres: {reason} Check whether the server is running."
        ) from exc
    prepare_blobs()


if __name__ == "__main__":
    main()
