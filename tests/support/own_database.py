"""A migrated database that the tests of a whole module share, because filling it takes long."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tools.local_stack.postgres import PostgresServer

_numbers = itertools.count(1)


@contextmanager
def own_database(postgres: PostgresServer, template: str) -> Iterator[str]:
    """Make a copy of the migrated template, and drop it in the end. Yields its address."""
    name = f"shared_{next(_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy")
    yield postgres.url_of(name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")
