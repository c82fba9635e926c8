"""One database for the whole model."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import psycopg
import pytest

from tests.model.store import Store
from tools.local_stack.postgres import PostgresServer


@pytest.fixture(scope="session")
def store(postgres: PostgresServer, migrated_template: str) -> Iterator[Store]:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database model template {migrated_template} strategy file_copy")
    store = Store(postgres.url_of("model"))
    yield store
    store.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nobody wants to read ten thousand warnings about faults that were made on purpose."""
    logger = logging.getLogger("queued_jobs")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)
