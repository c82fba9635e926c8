"""What jobs emit, over HTTP: for the owner, and masked for viewers and admins."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.functions.conftest import Site
from tests.integration.functions.test_jobs_api import assert_problem


def emit(site: Site, job: dict[str, Any], *texts: str, topic: str = "log") -> None:
    """Store what a body would have emitted."""
    with psycopg.connect(site.settings["DATABASE_URL"]) as conn:
        (last,) = conn.execute(
            "insert into queued_jobs.stream as head (job_id, gen, written, last_seq, ends_at) values (%s, 1, 0, %s, 0)"
            " on conflict (job_id) do update set last_seq = head.last_seq + excluded.last_seq returning last_seq",
            (UUID(job["id"]), len(texts)),
        ).fetchone() or (0,)
        for seq, text in enumerate(texts, last - len(texts) + 1):
            conn.execute(
                "insert into queued_jobs.chunk (job_id, seq, topic, text, starts_at) values (%s, %s, %s, %s, 0)",
                (UUID(job["id"]), seq, topic, text),
            )


async def test_the_owner_reads_page_by_page(site: Site) -> None:
    job = await site.start("ann")
    empty = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream")).json()
    assert empty == {"chunks": [], "after": 0, "more": False, "omitted": False}
    emit(site, job, "a", "b", "c")
    emit(site, job, "x", topic="other")
    first = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream?limit=2")).json()
    assert [(one["seq"], one["text"], one["topic"], one["skipped"]) for one in first["chunks"]] == [
        (1, "a", "log", 0),
        (2, "b", "log", 0),
    ]
    assert (first["after"], first["more"]) == (2, True)
    rest = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream?after=2")).json()
    assert [one["text"] for one in rest["chunks"]] == ["c", "x"]
    assert (rest["after"], rest["more"]) == (4, False)
    other = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream?topic=other")).json()
    assert [one["seq"] for one in other["chunks"]] == [4]


async def test_others_learn_nothing(site: Site) -> None:
    job = await site.start("ann")
    emit(site, job, "of ann")
    for who, key in (("bob", job["id"]), ("admin", job["id"]), ("bob", uuid4())):
        assert_problem(await site.call(who, "GET", f"/api/jobs/{key}/stream"), 404)
    assert_problem(await site.call("bob", "GET", f"/api/admin/jobs/{job['id']}/stream"), 403)
    assert_problem(await site.call("admin", "GET", f"/api/admin/jobs/{uuid4()}/stream"), 404)


async def test_secrets_of_other_code_are_masked(site: Site) -> None:
    job = await site.start("ann")
    emit(site, job, "password=hunter22")
    for who, path in (("ann", "jobs"), ("admin", "admin/jobs")):
        answer = await site.call(who, "GET", f"/api/{path}/{job['id']}/stream")
        assert [one["text"] for one in answer.json()["chunks"]] == ["password=***"]


@pytest.mark.parametrize(
    "query",
    [
        *("after=-1", "after=9223372036854775808", "after=x", "after=1e3", "limit=0", "limit=1001", "limit="),
        *("topic=", "topic=A", "topic=a%00", "topic=a%0A", f"topic={'a' * 64}", "topic=%27%20or%201=1"),
    ],
)
async def test_what_is_no_place_in_a_stream_is_422(site: Site, query: str) -> None:
    job = await site.start("ann")
    assert_problem(await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream?{query}"), 422)
    assert_problem(await site.call("admin", "GET", f"/api/admin/jobs/{job['id']}/stream?{query}"), 422)


async def test_the_greatest_number_is_a_place(site: Site) -> None:
    job = await site.start("ann")
    emit(site, job, "a")
    answer = await site.call("ann", "GET", f"/api/jobs/{job['id']}/stream?after={2**63 - 1}")
    assert answer.json() == {"chunks": [], "after": 1, "more": False, "omitted": False}
