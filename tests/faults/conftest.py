"""A whole system of its own, whose parts can be stopped, killed and started again."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.client import Person
from tests.support.product import running_product
from tools.local_stack.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_product(durable=True) as stack:
        yield stack


@pytest.fixture
def ann(stack: Stack) -> Iterator[Person]:
    with Person(stack.page_url, stack.invite) as person:
        yield person


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """To let time pass: leases and waits are columns."""
    with psycopg.connect(stack.settings()["DATABASE_URL"], autocommit=True) as connection:
        yield connection
