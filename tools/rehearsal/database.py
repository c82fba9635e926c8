"""A real Postgres that behaves like Azure's: it accepts tokens as passwords and has roles for Entra principals."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tools.local_stack import ports
from tools.local_stack.postgres import PostgresServer
from tools.rehearsal.tokens import TokenEndpoint

AUDIENCE = "https://ossrdbms-aad.database.windows.net"
DATABASE = "jobs"
_EXTRAS = Path(__file__).with_name("database.sql")
_LABEL = re.compile(
    rb"security label for \"pgaadauth\" on role (\"(?:[^\"]|\"\")+\") is ('(?:[^']|'')*')\0", re.IGNORECASE
)


class EntraPostgres:
    """Listens on `port`. The administrator's password is the deployer's token for Postgres.

    Everything is passed on unchanged, except one statement that needs a module of Azure's server.
    """

    def __init__(self, folder: Path, tokens: TokenEndpoint, *, admin: str) -> None:
        self._server = PostgresServer(folder, durable=False)
        self._server.start()
        self._admin = admin
        self._token = tokens.token_for(AUDIENCE)
        self._listener = socket.create_server((ports.LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="Entra in front of Postgres", daemon=True).start()
        self._make_azure_of_it()
        self.make_database()

    def make_database(self) -> None:
        """Recreate the application's database, empty, and drop its roles."""
        with self._superuser("postgres") as conn:
            conn.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE)))
            labelled = conn.execute("select objoid::regrole::text from pg_shseclabel").fetchall()
            for (role,) in labelled:
                conn.execute(sql.SQL("drop role {}").format(sql.SQL(role)))  # quoted by the server already
            conn.execute(sql.SQL("create database {} owner azure_pg_admin").format(sql.Identifier(DATABASE)))

    def url_of_superuser(self, database: str) -> str:
        """Return a superuser connection string, to inspect the result of a deployment."""
        return self._server.url_of(database)

    def close(self) -> None:
        _close(self._listener)
        self._server.stop()
        self._server.delete_data()

    def _superuser(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._server.url_of(database), autocommit=True)

    def _make_azure_of_it(self) -> None:
        with self._superuser("postgres") as conn:
            conn.execute(_EXTRAS.read_bytes())
            conn.execute(
                sql.SQL("create role {} login createrole createdb password {} in role azure_pg_admin").format(
                    sql.Identifier(self._admin), sql.Literal(self._token)
                )
            )

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = socket.create_connection((ports.LOOPBACK, self._server.ports[0]))
            threading.Thread(target=_pass_on, args=(server, client), daemon=True).start()
            threading.Thread(target=_pass_on_statements, args=(client, server), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # one side was closed: close the other
    finally:
        _close(source, target)


def _pass_on_statements(client: socket.socket, server: socket.socket) -> None:
    try:
        with client.makefile("rb") as stream:
            length = stream.read(4)  # the first message has no type
            server.sendall(length + stream.read(struct.unpack("!I", length)[0] - 4))
            while kind := stream.read(1):
                content = stream.read(struct.unpack("!I", stream.read(4))[0] - 4)
                if kind == b"Q":
                    content = _LABEL.sub(_instead_of_label, content)
                server.sendall(kind + struct.pack("!I", len(content) + 4) + content)
    except (OSError, struct.error):
        pass  # one side was closed: close the other
    finally:
        _close(client, server)


def _instead_of_label(match: re.Match[bytes]) -> bytes:
    role = match[1].replace(b"'", b"''")
    return b"select entra_label('" + role + b"', " + match[2] + b")\0"


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        each.close()
