"""The kind that checks a running system, on real blobs."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

import jobs
from jobs.probe import FILE, MAX_BYTES, Probe, ProbeResult
from queued_jobs.hooks import call_hook
from storage import blob_service
from tests.integration.functions.conftest import Site


@pytest.fixture
def kinds() -> ModuleType:
    return jobs


async def probed(site: Site, files: dict[str, bytes]) -> dict[str, Any]:
    body = {"prefix": await site.upload("ann", files)}
    answer = await site.call("ann", "POST", f"/api/jobs/{Probe.kind}", json=body)
    assert answer.status_code == 202, answer.text
    await site.deliver(Probe.kind)
    return await site.job("ann", answer.json()["id"])


@pytest.mark.parametrize("content", [b"content", b"", b"x" * MAX_BYTES])
async def test_the_file_is_copied_and_can_be_downloaded(site: Site, content: bytes) -> None:
    job = await probed(site, {FILE: content, "other": b"not this one"})
    assert (job["status"], job["result"]["bytes"]) == ("succeeded", len(content))
    link = (await site.call("ann", "GET", f"/api/jobs/{job['id']}/download")).json()["url"]
    assert (await site.web.get(link)).content == content


@pytest.mark.parametrize("files", [{"other": b"x"}, {FILE: b"x" * (MAX_BYTES + 1)}])
async def test_without_a_small_file_it_fails_for_good(site: Site, files: dict[str, bytes]) -> None:
    job = await probed(site, files)
    assert (job["status"], job["error"]["class"], job["attempt"]) == ("failed", "NothingToCopy", 1)


async def test_it_reads_only_what_its_owner_has_uploaded(site: Site) -> None:
    prefix = await site.upload("ann", {FILE: b"hers"})
    answer = await site.call("bob", "POST", f"/api/jobs/{Probe.kind}", json={"prefix": prefix})
    await site.deliver(Probe.kind)
    assert (await site.job("bob", answer.json()["id"]))["error"]["class"] == "NothingToCopy"
    for outside in ("", f"../{prefix}", f"{await site.user_id('ann')}/{prefix}"):
        assert (await site.call("bob", "POST", f"/api/jobs/{Probe.kind}", json={"prefix": outside})).status_code == 422


async def test_its_file_goes_with_its_result(site: Site) -> None:
    job = await probed(site, {FILE: b"content"})
    runner = site.services.manager.runner(Probe.kind)
    row = await site.services.manager.tracker.get(UUID(job["id"]), user_id=await site.user_id("ann"))
    await call_hook(runner.on_result_expired, row, ProbeResult.model_validate(job["result"]))
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []
