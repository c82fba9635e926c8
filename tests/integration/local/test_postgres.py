"""The embedded Postgres: what it keeps, what it survives, where it puts its files."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.support.waiting import is_alive
from tools.local_stack import postgres_binaries
from tools.local_stack.errors import ServerFailed
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.postgres_binaries import find_programs, reachable_programs, unprivileged_account
from tools.local_stack.state import temporary_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands Postgres to another account")


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder / "postgres", durable=True)
    yield server
    server.kill()
    server.delete_data()


def execute(server: PostgresServer, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_data_survives_a_stop_and_a_kill_and_another_run(server: PostgresServer, folder: Path) -> None:
    server.start()
    execute(server, "create table kept (number int)")
    for end in (server.stop, server.kill):
        execute(server, "insert into kept values (1)")
        end()
        server.start()
    server.stop()
    later = PostgresServer(folder / "postgres", durable=True)
    later.start()
    try:
        assert execute(later, "select count(*) from kept") == [(2,)]
    finally:
        later.stop()


def test_it_is_safe_when_the_data_is_kept_and_fast_when_it_is_not(
    server: PostgresServer, postgres: PostgresServer
) -> None:
    server.start()
    assert execute(server, "show fsync") == [("on",)]
    assert execute(postgres, "show fsync") == [("off",)]
    assert execute(server, "show timezone") == [("UTC",)]


def test_it_asks_for_the_password_and_listens_on_this_machine_only(server: PostgresServer, folder: Path) -> None:
    server.start()
    assert execute(server, "show listen_addresses") == [("127.0.0.1",)]
    wrong = f"postgresql://postgres:wrong@127.0.0.1:{server.ports[0]}/postgres"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    files = [path for path in (folder / "postgres").iterdir() if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600]


def test_a_first_start_that_was_interrupted_is_repeated(server: PostgresServer, folder: Path) -> None:
    unfinished = folder / "postgres" / "data.part"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert execute(server, "select 1") == [(1,)]
    assert not unfinished.exists()


def test_a_pid_file_of_an_unrelated_process_is_no_obstacle(server: PostgresServer, folder: Path) -> None:
    server.start()
    server.stop()
    pid_file = folder / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n/elsewhere\n1\n1\n\n127.0.0.1\n\nready\n")
    server.start()
    assert execute(server, "select 1") == [(1,)]


def test_the_server_of_a_run_that_was_killed_is_waited_for(server: PostgresServer, folder: Path) -> None:
    server.start()
    predecessor = server.pid
    assert predecessor is not None
    successor = PostgresServer(folder / "postgres", durable=True)
    with psycopg.connect(server.url):
        os.kill(predecessor, signal.SIGINT)
        successor.start()
    try:
        assert not is_alive(predecessor)
        assert execute(successor, "select 1") == [(1,)]
    finally:
        successor.stop()


def test_a_server_that_will_not_let_go_is_named(
    server: PostgresServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.local_stack.postgres.PREDECESSOR_ENDS_WITHIN", timedelta(seconds=0.2))
    server.start()
    with pytest.raises(ServerFailed, match=f"process {server.pid} still serves"):
        PostgresServer(folder / "postgres", durable=True).start()


def test_a_folder_that_cannot_hold_a_cluster_is_reported(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.local_stack.postgres.SUPERUSER", "pg_is_reserved")
    with pytest.raises(ServerFailed, match=r"initdb ended with exit code 1(?s:.*)pg_"):
        server.start()


@as_root
def test_a_folder_that_is_closed_to_others_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with temporary_folder() as roots_folder:
        monkeypatch.setattr(postgres_binaries, "ROOTS_FOLDER", roots_folder)
        server = PostgresServer(closed / "postgres", durable=False)
        server.start()
        try:
            assert execute(server, "select 1") == [(1,)]
        finally:
            server.stop()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert [path.name.split("-")[0] for path in roots_folder.iterdir()] == ["data"]
        server.delete_data()
        assert list(roots_folder.iterdir()) == []


@as_root
def test_programs_that_are_out_of_reach_are_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    account = unprivileged_account()
    with temporary_folder() as roots_folder, temporary_folder() as closed:
        monkeypatch.setattr(postgres_binaries, "ROOTS_FOLDER", roots_folder)
        package = find_programs().parents[1]
        shutil.copytree(package, closed / "site" / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, closed / "site" / libraries.name)
        closed.chmod(0o700)
        programs = closed / "site" / package.name / "pginstall18" / "bin"
        monkeypatch.setenv("PG_BIN", str(programs))
        copy = reachable_programs(programs, account)
        assert roots_folder in copy.parents
        made = (copy / "postgres").stat().st_mtime_ns
        assert reachable_programs(programs, account) == copy
        assert (copy / "postgres").stat().st_mtime_ns == made
        with temporary_folder() as folder:
            server = PostgresServer(folder / "postgres", durable=False)
            server.start()
            assert execute(server, "select 1") == [(1,)]
            server.stop()
