"""The network between the hosts and Postgres swallows what either says, and keeps their connections."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.client import Person
from tests.support.held_jobs import HeldJob
from tests.support.product import running_product
from tests.support.waiting import wait_until
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.proxy import SILENT, WELL, Proxy
from tools.local_stack.stack import Stack

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    with Proxy(postgres.ports[0]) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def direct_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of the system's database, past the network that is broken."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("create database behind_a_network")
    yield postgres.url_of("behind_a_network")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("drop database behind_a_network with (force)")


@pytest.fixture(scope="module")
def stack(proxy: Proxy, direct_url: str) -> Iterator[Stack]:
    """A system whose only way to Postgres is the proxy."""
    with running_product(database_url=make_conninfo(direct_url, port=proxy.port)) as stack:
        yield stack


@pytest.fixture
def database(direct_url: str) -> Iterator[Connection]:
    with psycopg.connect(direct_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def well_again(proxy: Proxy) -> Iterator[None]:
    yield
    proxy.set(WELL, established=False)


def health(person: Person) -> int:
    return person.status("GET", "/api/health")


def start_jobs(person: Person, prefix: str, count: int) -> list[str]:
    return [person.start(prefix) for _ in range(count)]


def assert_all_end(person: Person, keys: list[str], database: Connection, proxy: Proxy) -> None:
    """Every job ends well, none is left over, and no connection of the hosts is a dead one."""
    # a worker that could not tell of its end is waited for until its lease is over
    database.execute(
        "update queued_jobs.job set lease_until = lease_until - interval '1 hour' where status = 'running'"
    )
    database.execute(
        "update queued_jobs.job set next_send_at = next_send_at - interval '1 hour' where finished_at is null"
    )
    for key in keys:
        assert person.wait_for_end(key)["status"] == "succeeded"
    assert database.execute("select count(*) from queued_jobs.job where finished_at is null").fetchone() == (0,)
    wait_until(lambda: proxy.lost == 0, "no connection is a dead one")


def test_bytes_are_lost_for_a_moment(stack: Stack, ann: Person, database: Connection, proxy: Proxy) -> None:
    prefix = ann.upload({"a.txt": b"hello"})
    before = start_jobs(ann, prefix, 4)
    proxy.set(SILENT)
    wait_until(lambda: proxy.lost > 0, "something was lost")
    assert ann.status("GET", f"/api/jobs/{before[0]}") == 503, "an answer comes though the network is silent"
    assert health(ann) == 503
    proxy.set(WELL, established=False)  # what was silent stays silent
    wait_until(lambda: health(ann) == 200, "the host has its database again")
    assert_all_end(ann, before, database, proxy)
    assert_all_end(ann, start_jobs(ann, prefix, 4), database, proxy)


def test_the_connections_of_the_hosts_fall_silent_for_ever(
    stack: Stack, ann: Person, database: Connection, proxy: Proxy
) -> None:
    prefix = ann.upload({"a.txt": b"hello"})
    before = start_jobs(ann, prefix, 4)
    proxy.set(SILENT, new=False)
    wait_until(lambda: health(ann) == 200, "the host has its database again")
    assert_all_end(ann, before, database, proxy)
    assert_all_end(ann, start_jobs(ann, prefix, 4), database, proxy)


def test_jobs_that_run_meanwhile_end(stack: Stack, ann: Person, database: Connection, proxy: Proxy) -> None:
    """Its heartbeats are lost, and what stores its end."""
    held = HeldJob(stack, ann)
    proxy.set(SILENT)
    wait_until(lambda: proxy.lost > 0, "something was lost")
    assert health(ann) == 503
    held.let_go()
    wait_until(lambda: held.results() != [], "the body has come to its end")
    proxy.set(WELL, established=False)
    wait_until(lambda: health(ann) == 200, "the host has its database again")
    assert_all_end(ann, [held.key], database, proxy)
