"""Brings a database's schema up to date."""

from __future__ import annotations

import logging

import psycopg

from queued_jobs._deadlines import NETWORK
from queued_jobs.statements import migrations
from queued_jobs.tables import TABLES, Tables

logger = logging.getLogger(__name__)

#: Any fixed number does, as long as nobody else in the same database locks it.
_LOCK = 0x71756A6F6273  # "qujobs"
_TABLE = b"""
    create table if not exists queued_jobs.migration (
      number int primary key, name text not null, applied_at timestamptz not null default clock_timestamp())"""
_APPLIED = b"insert into queued_jobs.migration (number, name) values (%s, %s)"


async def migrate(conninfo: str, tables: Tables = TABLES) -> list[str]:
    """Apply the migrations that are missing, and return their names.

    Safe to run from several places at once: an advisory lock makes the others wait, and find nothing left to do. Each
    migration is a transaction, so a crash leaves whole migrations only. Needs a role that may create in the database.
    """
    applied = []
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True, **NETWORK) as conn:
        await conn.execute("select pg_advisory_lock(%s)", (_LOCK,))
        await conn.execute(f"create schema if not exists {tables.schema}".encode())
        await conn.execute(tables.rendered(_TABLE))
        cursor = await conn.execute(tables.rendered(b"select number from queued_jobs.migration"))
        done = {number for (number,) in await cursor.fetchall()}
        for number, name, text in migrations(tables):
            if number not in done:
                async with conn.transaction():
                    await conn.execute(text)
                    await conn.execute(tables.rendered(_APPLIED), (number, name))
                logger.info("applied migration %s", name)
                applied.append(name)
    return applied
