"""Role, schema and rights, on a real Postgres that has Azure's functions."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.database_setup import DatabaseSetupFailed, _DatabaseProvider, set_up
from queued_jobs.schema import migrations
from tests.support.tls import Certificate, make_certificate
from tools.local_stack.state import temporary_folder
from tools.rehearsal.database import DATABASE, EntraPostgres
from tools.rehearsal.tokens import TokenEndpoint

ADMIN = "deployer@example.com"
ROLE = 'id-"jobs"-dev'  # a name that has to be quoted
OBJECT_ID = "55555555-5555-5555-5555-555555555555"


@pytest.fixture(scope="module")
def entra() -> Iterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def server(entra: TokenEndpoint) -> Iterator[EntraPostgres]:
    with temporary_folder() as folder:
        server = EntraPostgres(folder / "postgres", entra, admin=ADMIN)
        yield server
        server.close()


@pytest.fixture
def props(server: EntraPostgres, entra: TokenEndpoint, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the resource gets for an empty database."""
    server.make_database()
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in entra.environment.items():
        monkeypatch.setenv(name, value)
    return {
        "host": "127.0.0.1",
        "port": float(server.port),  # as Pulumi hands numbers over
        "sslmode": "disable",
        "database": DATABASE,
        "admin": ADMIN,
        "role": ROLE,
        "role_object_id": OBJECT_ID,
        "migrations_digest": "a",
    }


def rows(server: EntraPostgres, query: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url_of_superuser(database)) as conn:
        return conn.execute(query.encode()).fetchall()


def as_application(server: EntraPostgres, statement: str) -> None:
    with psycopg.connect(server.url_of_superuser(DATABASE), autocommit=True) as conn:
        conn.execute(psycopg.sql.SQL("set role {}").format(psycopg.sql.Identifier(ROLE)))
        conn.execute(statement.encode())


def test_a_new_database_gets_all_and_a_second_run_changes_nothing(server: EntraPostgres, props: dict[str, Any]) -> None:
    created = _DatabaseProvider().create(props)
    assert created.id == f"127.0.0.1/{DATABASE}/{ROLE}"
    assert created.outs == props
    names = [name for _, name, _ in migrations()]
    assert rows(server, "select name from queued_jobs.migration order by number") == [(name,) for name in names]
    assert rows(server, "select label from pg_shseclabel") == [(f"aadauth,oid={OBJECT_ID},type=service",)]
    before = rows(server, "select xmin, number from queued_jobs.migration")
    _DatabaseProvider().update(created.id, props, props)
    assert rows(server, "select xmin, number from queued_jobs.migration") == before
    (attributes,) = rows(server, "select rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname like 'id-%'")
    assert attributes == (False, False, False)


def test_the_application_changes_rows_and_nothing_else(server: EntraPostgres, props: dict[str, Any]) -> None:
    set_up(props)
    for allowed in (
        "select * from queued_jobs.job",
        "select * from queued_jobs.migration",
        "update queued_jobs.job set progress = 0 where false",
        "insert into queued_jobs.rejected_message (queue, reason, body_sha256, body_start) values ('q', 'r', 'x', 'x')",
        "delete from queued_jobs.attempt where false",
    ):
        as_application(server, allowed)
    for refused in (
        "create table queued_jobs.mine (id int)",
        "create table public.mine (id int)",
        "create schema mine",
        "drop table queued_jobs.job",
        "truncate queued_jobs.job",
        "alter table queued_jobs.job add column mine int",
        "create index on queued_jobs.job (kind)",
        "delete from queued_jobs.migration",
        "create role mine",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_application(server, refused)


def test_an_identity_made_anew_takes_the_role_over(server: EntraPostgres, props: dict[str, Any]) -> None:
    set_up(props)
    other = OBJECT_ID.replace("5", "6")
    assert _DatabaseProvider().diff("x", props, props | {"role_object_id": other}).changes is True
    set_up(props | {"role_object_id": other})
    assert rows(server, "select label from pg_shseclabel") == [(f"aadauth,oid={other},type=service",)]
    as_application(server, "select * from queued_jobs.job")


def test_it_repeats_what_was_interrupted(server: EntraPostgres, props: dict[str, Any]) -> None:
    set_up(props)
    with psycopg.connect(server.url_of_superuser(DATABASE), autocommit=True) as conn:
        conn.execute(psycopg.sql.SQL("drop owned by {}").format(psycopg.sql.Identifier(ROLE)))  # its rights, that is
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_application(server, "select * from queued_jobs.job")
    set_up(props)
    as_application(server, "select * from queued_jobs.job")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"admin": "somebody else"}, "Set databaseAdminName to the exact name"),
        ({"port": 1.0}, "whether a firewall blocks"),
    ],
)
def test_who_is_not_let_in_is_told_why(props: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(DatabaseSetupFailed, match=f"{words}.*run `pulumi up` again"):
        set_up(props | change, within=timedelta(0))


class InBetween:
    """Answers in a server's place: with a certificate that nobody vouches for, or without TLS. Keeps what it hears."""

    def __init__(self, certificate: Certificate | None) -> None:
        self.heard = b""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate is not None:
            self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._has_tls = certificate is not None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._answer_once)
        self._thread.start()

    def end(self) -> None:
        self._thread.join()
        self._listener.close()

    def _answer_once(self) -> None:
        client, _ = self._listener.accept()
        with client:
            client.recv(8)  # may we speak TLS?
            client.sendall(b"S" if self._has_tls else b"N")
            try:
                if self._has_tls:
                    client = self._context.wrap_socket(client, server_side=True)
                self.heard = client.recv(4096)
            except OSError:
                return  # it was not believed
            finally:
                client.close()


@pytest.mark.parametrize(("has_tls", "reason"), [(True, "certificate verify failed"), (False, "SSL")])
def test_who_answers_in_the_servers_place_hears_nothing(
    props: dict[str, Any], tmp_path: Path, has_tls: bool, reason: str
) -> None:
    server = InBetween(make_certificate(tmp_path) if has_tls else None)
    with pytest.raises(DatabaseSetupFailed, match=f"{reason}.*deploy from a network without it") as caught:
        set_up(props | {"port": float(server.port), "sslmode": "verify-full"}, within=timedelta(0))
    server.end()
    assert server.heard == b""
    assert len(str(caught.value).splitlines()) == 1


def test_a_server_that_the_trusted_authorities_vouch_for_is_talked_to(
    props: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = make_certificate(tmp_path)
    monkeypatch.setattr("certifi.where", lambda: str(trusted.certificate))
    server = InBetween(trusted)
    with pytest.raises(DatabaseSetupFailed):  # it is not a Postgres and goes away
        set_up(props | {"port": float(server.port), "sslmode": "verify-full"}, within=timedelta(0))
    server.end()
    assert b"queued-jobs-deployer" in server.heard


def test_a_server_that_is_not_ready_yet_is_waited_for(
    server: EntraPostgres, props: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(server.url_of_superuser("postgres"), autocommit=True) as conn:
        conn.execute(psycopg.sql.SQL("alter role {} nologin").format(psycopg.sql.Identifier(ADMIN)))

    class LetIn:
        """Lets the administrator in after the first refusal."""

        def total_seconds(self) -> float:
            with psycopg.connect(server.url_of_superuser("postgres"), autocommit=True) as conn:
                conn.execute(psycopg.sql.SQL("alter role {} login").format(psycopg.sql.Identifier(ADMIN)))
            return 0

    set_up(props, pause=LetIn())  # type: ignore[arg-type]
    assert f"not ready for {ADMIN} yet" in caplog.text


def test_another_administrator_may_not_change_the_schema(server: EntraPostgres, props: dict[str, Any]) -> None:
    set_up(props)
    with psycopg.connect(server.url_of_superuser(DATABASE), autocommit=True) as conn:
        conn.execute("alter schema queued_jobs owner to postgres")
        conn.execute("alter table queued_jobs.migration owner to postgres")
    with pytest.raises(DatabaseSetupFailed, match="a group"):
        set_up(props)


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        ({}, False),
        ({"admin": "b", "sslmode": "require"}, False),
        ({"host": "b"}, True),
        ({"migrations_digest": "b"}, True),
    ],
)
def test_only_what_the_database_holds_makes_a_difference(
    props: dict[str, Any], change: dict[str, Any], changes: bool
) -> None:
    assert _DatabaseProvider().diff("x", props, props | change).changes is changes
