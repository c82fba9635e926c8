"""The commands of docs/how-to/operate.md that restore rows from a restored server, executed."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from queued_jobs import QueueManager
from queued_jobs.database import Database
from queued_jobs.postgres import PostgresRepository
from queued_jobs.testing import FakeQueues
from tests.integration.queued_jobs.conftest import Ask, Demo
from tests.support.own_database import own_database
from tools.local_stack.postgres import PostgresServer
from tools.local_stack.postgres_binaries import find_programs

PAGE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "operate.md"


def commands() -> str:
    """Return the block of commands of the section "Restore", without the addresses."""
    section = PAGE.read_text().partition("\n## Restore\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^ *```\n(.*?)^ *```$", section, re.DOTALL | re.MULTILINE)
    return re.sub(r'^ *(NEW|OLD)=".*"\n', "", block, flags=re.MULTILINE)


def rows(url: str) -> dict[str, list[Any]]:
    with psycopg.connect(url) as conn:
        tables = conn.execute("select tablename from pg_tables where schemaname = 'queued_jobs' order by 1").fetchall()
        return {
            name: conn.execute(f"select to_jsonb(t) from queued_jobs.{name} t order by t::text".encode()).fetchall()  # noqa: S608
            for (name,) in tables
        }


async def start(url: str, count: int) -> None:
    manager = QueueManager([Demo], repository=PostgresRepository(Database(url)), queues=FakeQueues())
    for number in range(count):
        handle = await manager.queue_job(Demo, Ask(), user_id="ann", idempotency_key=str(number))
        await manager.tracker.cancel(handle.id, user_id="ann")
    await manager.sweeper.run_once()


@pytest.mark.parametrize("later", [0, 7])
def test_the_stacks_server_gets_the_rows_of_the_backup(
    postgres: PostgresServer, migrated_template: str, tmp_path: Path, later: int
) -> None:
    with own_database(postgres, migrated_template) as backup, own_database(postgres, migrated_template) as present:
        asyncio.run(start(backup, 5))
        asyncio.run(start(present, later))
        before = rows(backup)
        environment = os.environ | {
            "NEW": backup,
            "OLD": present,
            "PATH": f"{find_programs()}:{os.environ['PATH']}",
        }
        subprocess.run(["bash", "-ec", commands()], cwd=tmp_path, env=environment, check=True, capture_output=True)
        after = rows(present)
        assert after == {**before, "migration": after["migration"]}
        assert len(after["job"]) == 5
