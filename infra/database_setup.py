"""The content of the database as a resource: the application's role, the schema, and the role's privileges."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger(__name__)

#: A new server, its firewall and its administrator take minutes until the deployer can connect.
REACHABLE_WITHIN = timedelta(minutes=5)
PAUSE = timedelta(seconds=10)
_WHAT_COUNTS = ("host", "port", "database", "role", "role_object_id", "migrations_digest")


class DatabaseSetupFailed(Exception):
    """The database is not ready for the application; the message has the reason and the remedy."""


class DatabaseSetup(Resource):
    """A role for the application's identity, the newest schema, and only the privileges to read and write rows.

    Runs as the Entra administrator `admin`, wherever `pulumi up` runs. It runs again for new migrations, a new server,
    or a new identity behind the role's name; all steps are idempotent, so the next `pulumi up` repeats an interrupted
    run. Deleting it does nothing: its content is deleted with the server.
    """

    def __init__(
        self,
        name: str,
        *,
        host: pulumi.Input[str],
        port: int,
        sslmode: str,
        database: pulumi.Input[str],
        admin: str,
        role: pulumi.Input[str],
        role_object_id: pulumi.Input[str],
        migrations_digest: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "host": host,
            "port": port,
            "sslmode": sslmode,
            "database": database,
            "admin": admin,
            "role": role,
            "role_object_id": role_object_id,
            "migrations_digest": migrations_digest,
        }
        super().__init__(_DatabaseProvider(), name, inputs, opts)


class _DatabaseProvider(ResourceProvider):
    """Pickled by Pulumi, so the called functions import their libraries themselves.

    States contain the name of this class and of its module: see tests/infra/test_providers.py.
    """

    def create(self, props: dict[str, Any]) -> CreateResult:
        set_up(props)
        return CreateResult(id_=f"{props['host']}/{props['database']}/{props['role']}", outs=props)

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        set_up(props)
        return UpdateResult(outs=props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(olds.get(name) != news.get(name) for name in _WHAT_COUNTS))


def set_up(props: dict[str, Any], *, within: timedelta = REACHABLE_WITHIN, pause: timedelta = PAUSE) -> None:
    """Create the role, migrate, and grant. Raises `DatabaseSetupFailed`, or the error of a broken migration."""
    import psycopg

    from queued_jobs.schema import migrate

    role, database = props["role"], props["database"]
    try:
        with _connect(props, "postgres", within, pause) as conn:
            _ensure_role(conn, role, props["role_object_id"])
        applied = asyncio.run(migrate(_conninfo(props, database)))
        with _connect(props, database, within, pause) as conn:
            _grant(conn, database, role)
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseSetupFailed(
            f"{props['admin']} lacks privileges in the database {database} on {props['host']}: {error} "
            "Deploy as the administrator that created the schema, or make a group of both the administrator."
        ) from error
    logger.warning("database %s: role %s is ready, %s", database, role, ", ".join(applied) or "no new migration")


def _conninfo(props: dict[str, Any], database: str) -> str:
    from psycopg.conninfo import make_conninfo

    from infra.credentials import POSTGRES_SCOPE, deployer_token
    from queued_jobs.identity import passwordless

    address = passwordless(
        host=props["host"],
        port=str(int(props["port"])),  # Pulumi's numbers are floats
        sslmode=props["sslmode"],
        database=database,
        role=props["admin"],
    )
    return make_conninfo(
        address,
        password=deployer_token(POSTGRES_SCOPE),
        connect_timeout=15,
        application_name="queued-jobs-deployer",
    )


def _connect(
    props: dict[str, Any], database: str, within: timedelta, pause: timedelta
) -> psycopg.Connection[tuple[Any, ...]]:
    import psycopg

    deadline = time.monotonic() + within.total_seconds()
    while True:
        try:
            return psycopg.connect(_conninfo(props, database), autocommit=True)
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            if time.monotonic() > deadline:
                raise DatabaseSetupFailed(_unreachable(props, reason)) from error
            logger.warning("Postgres on %s is not ready for %s yet: %s", props["host"], props["admin"], reason)
            time.sleep(pause.total_seconds())


def _unreachable(props: dict[str, Any], reason: str) -> str:
    if "authentication failed" in reason or "password" in reason:
        remedy = (
            "Set databaseAdminName to the exact name of the deployer (or of its group), and "
            "databaseAdminObjectId to the object id of the same"
        )
    elif "pg_hba.conf" in reason or "timeout" in reason:
        remedy = "Set deployerIp to your public IP address; a private network requires a runner inside of it"
    elif "certificate" in reason or "SSL" in reason:
        remedy = (
            "Something else responds in the server's place, such as a proxy that terminates TLS, so no token was sent: "
            "deploy from a network without it"
        )
    else:
        remedy = "Check whether the server is running and whether a firewall blocks its port"
    return (
        f"Postgres on {props['host']}:{int(props['port'])} rejects {props['admin']}: {reason}. "
        f"{remedy}, then run `pulumi up` again."
    )


def _ensure_role(conn: psycopg.Connection[tuple[Any, ...]], role: str, object_id: str) -> None:
    from psycopg import sql

    found = conn.execute(
        "select label from pg_roles left join pg_shseclabel on provider = 'pgaadauth' and objoid = pg_roles.oid "
        "and classoid = 'pg_authid'::regclass where rolname = %s",
        (role,),
    ).fetchone()
    if found is None:
        conn.execute("select pgaadauth_create_principal_with_oid(%s, %s, 'service', false, false)", (role, object_id))
    elif f"oid={object_id}" not in str(found[0]).split(","):
        # A re-created identity has the same name and a new object id; the privileges belong to the name.
        conn.execute(
            sql.SQL('security label for "pgaadauth" on role {} is {}').format(
                sql.Identifier(role), sql.Literal(f"aadauth,oid={object_id},type=service")
            )
        )


def _grant(conn: psycopg.Connection[tuple[Any, ...]], database: str, role: str) -> None:
    """Let the role read and write rows, but change neither the schema nor the record of migrations."""
    from psycopg import sql

    statements = (
        "grant connect on database {database} to {role}",
        "grant usage on schema queued_jobs to {role}",
        "grant select, insert, update, delete on all tables in schema queued_jobs to {role}",
        "grant usage, select on all sequences in schema queued_jobs to {role}",
        "revoke insert, update, delete on queued_jobs.migration from {role}",
    )
    names = {"database": sql.Identifier(database), "role": sql.Identifier(role)}
    with conn.transaction():
        for statement in statements:
            conn.execute(sql.SQL(statement).format(**names))
