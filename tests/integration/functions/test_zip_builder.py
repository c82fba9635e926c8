"""The example job on real blobs."""

from __future__ import annotations

import asyncio
import io
import re
import threading
import zipfile
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import jobs
from jobs import zip_builder
from jobs.zip_builder import ZipRequest
from queued_jobs import JobContext, JobsError
from storage import blob_service
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_late_workers import AFTER, keep_the_winners_file
from tests.support.waiting import PATIENCE_SECONDS

KIND = "zip-builder"
PIECES = st.sampled_from(["a", " ", "/", ".", "..", "\\", ":", "://", "\n", "\u00fc", "%"])


@pytest.fixture
def kinds() -> ModuleType:
    return jobs


async def start(site: Site, who: str, prefix: str) -> dict[str, Any]:
    answer = await site.call(who, "POST", f"/api/jobs/{KIND}", json={"prefix": prefix})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def zipped(site: Site, files: dict[str, bytes]) -> dict[str, Any]:
    job = await start(site, "ann", await site.upload("ann", files))
    await site.deliver(KIND)
    return await site.job("ann", job["id"])


@pytest.mark.parametrize(
    "prefix",
    ["../other/", "a/../../b", "..\\x", "\\\\server\\share", "https://x.example/", "x" * 401, 5, None, "new\nline"],
)
async def test_what_is_no_prefix_is_refused(site: Site, prefix: object) -> None:
    assert (await site.call("ann", "POST", f"/api/jobs/{KIND}", json={"prefix": prefix})).status_code == 422


@settings(deadline=None, max_examples=500)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_prefix_is_taken_again(text: str) -> None:
    try:
        taken = ZipRequest(prefix=text)
    except ValidationError:
        return
    assert ZipRequest(prefix=taken.prefix) == taken
    assert not taken.prefix.startswith(("/", " "))


async def test_files_of_others_are_out_of_reach(site: Site) -> None:
    place = await site.upload("bob", {"secret": b"x"})
    bob = await site.user_id("bob")
    for prefix in (
        place,
        f"{bob}/{place}",
        f"/{bob}/{place}",
        f"%2e%2e/{bob}/",
        f"\u2024\u2024/{bob}/",
        "",
        "//",
        "....",
    ):
        job = await start(site, "ann", prefix)
        await site.deliver(KIND)
        assert (await site.job("ann", job["id"]))["error"]["class"] == "NothingToZip", prefix


async def test_the_zip_is_downloaded_under_the_name_of_the_job(site: Site) -> None:
    body = {"prefix": await site.upload("ann", {"a": b"1"}), "name": "three / four"}
    answer = await site.call("ann", "POST", f"/api/jobs/{KIND}", json=body)
    await site.deliver(KIND)
    job = await site.job("ann", answer.json()["id"])
    assert (job["label"], job["result"]["fileName"]) == ("Zip of three / four", "three _ four.zip")
    link = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/download")).json()["url"]
    with zipfile.ZipFile(io.BytesIO((await site.web.get(link)).content)) as zip_file:
        assert zip_file.read("a") == b"1"


@AFTER
async def test_the_winners_file_is_as_the_winner_left_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    await keep_the_winners_file(site, monkeypatch, KIND, {"a.txt": b"hello"}, after=after)


async def test_no_metadata_keeps_a_file_out_and_what_is_no_file_is_skipped(site: Site) -> None:
    prefix = await site.upload("ann", {"own.zip": b"PK", "a.txt": b"1"})
    folder = f"{await site.user_id('ann')}/{prefix}"
    marked = blob_service().get_blob_client("uploads", f"{folder}marked.zip")
    marked.upload_blob(b"PK", metadata={"queued_jobs_kind": KIND})
    blob_service().get_blob_client("uploads", f"{folder}page").create_page_blob(1024**4)
    blob_service().get_blob_client("uploads", f"{folder}append").create_append_blob()
    archived = blob_service().get_blob_client("uploads", f"{folder}archived")
    archived.upload_blob(b"cold")
    archived.set_standard_blob_tier("Archive")
    job = await start(site, "ann", prefix)
    await site.deliver(KIND)
    result = (await site.job("ann", job["id"]))["result"]
    assert (result["files"], result["skippedCount"]) == (3, 3)
    assert {skipped["name"].rpartition("/")[2] for skipped in result["skipped"]} == {"page", "append", "archived"}


async def test_what_is_no_file_counts_as_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_builder, "MAX_FILES", 2)
    prefix = await site.upload("ann", {"a": b"1", "b": b"2"})
    blob = f"{await site.user_id('ann')}/{prefix}page"
    blob_service().get_blob_client("uploads", blob).create_page_blob(512)
    job = await start(site, "ann", prefix)
    await site.deliver(KIND)
    assert (await site.job("ann", job["id"]))["error"]["class"] == "TooMuchToZip"


async def test_names_inside_are_relative_to_the_prefix_and_safe(site: Site) -> None:
    job = await zipped(site, {"con.txt": b"1", "A": b"2", "a": b"3", "deep/er/x": b"4"})
    blob = blob_service().get_blob_client(job["result"]["container"], job["result"]["blob"])
    with zipfile.ZipFile(io.BytesIO(blob.download_blob().readall())) as zip_file:
        assert sorted(zip_file.namelist()) == ["A", "_con.txt", "a~2", "deep/er/x"]
    assert re.fullmatch(rf"{job['id']}/[0-9a-f]{{32}}\.zip", job["result"]["blob"])


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_BYTES", "MAX_FILE_BYTES"])
async def test_too_much_is_refused_before_the_first_byte(
    site: Site, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(zip_builder, limit, 1)
    job = await zipped(site, {"a": b"12", "b": b"34"})
    assert (job["status"], job["error"]["class"]) == ("failed", "TooMuchToZip")
    blobs = blob_service().get_container_client("results").list_blobs(job["id"], include=["uncommittedblobs"])
    assert list(blobs) == []


async def test_a_file_that_changes_while_it_is_read_publishes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = zip_builder.ZipBuilder._list

    def changed_after_listing(self: zip_builder.ZipBuilder, container: str, prefix: str) -> Any:
        found = listed(self, container, prefix)
        blob_service().get_blob_client(container, found[0][0].name).upload_blob(b"other", overwrite=True)
        return found

    monkeypatch.setattr(zip_builder.ZipBuilder, "_list", changed_after_listing)
    job = await zipped(site, {"a": b"12"})
    assert (job["status"], job["error"]["class"]) == ("retrying", "SourceChanged")
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []


async def test_a_cancel_stops_it_and_publishes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first piece is held back until the cancel, which travels through row and heartbeat, has reached the body."""
    job = await start(site, "ann", await site.upload("ann", {"a": b"1" * 9_000_000, "b": b"2"}))
    loop = asyncio.get_running_loop()
    told = threading.Event()
    pieces, stop = zip_builder.ZipBuilder._pieces, JobContext.stop

    def noticed(self: JobContext[Any], reason: JobsError) -> None:
        stop(self, reason)
        told.set()

    def held_back(self: zip_builder.ZipBuilder, *args: Any) -> Any:
        for number, piece in enumerate(pieces(self, *args)):
            yield piece
            if number == 0:
                cancel = site.call("ann", "POST", f"/api/jobs/{job['id']}/cancel")
                asyncio.run_coroutine_threadsafe(cancel, loop).result(PATIENCE_SECONDS)
                assert told.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(JobContext, "stop", noticed)
    monkeypatch.setattr(zip_builder.ZipBuilder, "_pieces", held_back)
    monkeypatch.setattr(zip_builder.ZipBuilder, "lease", timedelta(seconds=8))
    await site.deliver(KIND)
    assert (await site.job("ann", job["id"]))["status"] == "cancelled"
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []


async def test_a_result_that_lost_its_job_is_deleted(site: Site) -> None:
    prefix = await site.upload("ann", {"a": b"1"})
    job = await start(site, "ann", prefix)
    runner = site.services.manager.runner(KIND)
    succeed = runner.repository.succeed

    async def lost(*args: Any, **options: Any) -> None:
        async with site.services.database.connection() as conn:
            await conn.execute("update queued_jobs.job set lease_until = now() - interval '1 minute'")
        await runner.repository.rescue(limit=10)
        assert await succeed(*args, **options) is None

    runner.repository.succeed = lost  # type: ignore[method-assign]
    await site.deliver(KIND)
    assert (await site.job("ann", job["id"]))["status"] == "retrying"
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []
