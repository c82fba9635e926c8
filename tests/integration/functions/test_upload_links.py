"""What an upload link can create besides a file, which is swept away."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from storage import UPLOADS, blob_service, sweep_uploads
from tests.integration.functions.conftest import Site

GONE = (403, 404)


async def target_of(site: Site, name: str) -> tuple[str, str]:
    """Return an upload link, and the name of its blob."""
    answer = await site.call("ann", "POST", "/api/uploads", json={"files": [{"name": name, "size": 1}]})
    place = answer.json()
    return place["files"][0]["url"], f"{await site.user_id('ann')}/{place['prefix']}{name}"


async def put(site: Site, link: str, content: bytes = b"", **headers: str) -> httpx.Response:
    named = {f"x-ms-{name.replace('_', '-')}": value for name, value in headers.items()}
    return await site.web.put(link, content=content, headers=named)


async def test_what_is_not_a_file_is_deleted_and_files_stay(site: Site) -> None:
    sweep_uploads(older_than=timedelta())
    file, name = await target_of(site, "file")
    assert (await put(site, file, b"content", blob_type="BlockBlob")).status_code == 201
    assert (await put(site, f"{file}&comp=snapshot")).status_code in (201, *GONE)
    page, _ = await target_of(site, "page")
    assert (await put(site, page, blob_type="PageBlob", blob_content_length=str(1024**4))).status_code in (201, *GONE)
    append, _ = await target_of(site, "append")
    assert (await put(site, append, blob_type="AppendBlob")).status_code in (201, *GONE)
    cold, _ = await target_of(site, "cold")
    tier = {"blob_type": "BlockBlob", "access_tier": "Archive"}
    assert (await put(site, cold, b"cold", **tier)).status_code in (201, 400, *GONE)
    # by a link of an older version, which could write
    leased = blob_service().get_blob_client(UPLOADS, f"{name}-leased")
    leased.create_page_blob(512)
    leased.acquire_lease(-1)
    leased_file = blob_service().get_blob_client(UPLOADS, name)
    leased_file.create_snapshot()
    assert sweep_uploads(older_than=timedelta(hours=1)) == 0, "a link may still be in use"
    assert sweep_uploads(older_than=timedelta()) >= 2
    left = blob_service().get_container_client(UPLOADS).list_blobs(f"{name.partition('/')[0]}/", include=["snapshots"])
    assert [(blob.name, blob.blob_type, blob.snapshot) for blob in left] == [(name, "BlockBlob", None)]
    assert leased_file.download_blob().readall() == b"content"
    assert sweep_uploads(older_than=timedelta()) == 0


@pytest.mark.parametrize("blob_type", ["BlockBlob", "PageBlob", "AppendBlob"])
async def test_a_file_that_is_there_is_not_written_again(site: Site, blob_type: str) -> None:
    link, name = await target_of(site, "file")
    assert (await put(site, link, b"first", blob_type="BlockBlob")).status_code == 201
    again = await put(site, link, b"", blob_type=blob_type, blob_content_length="512")
    assert again.status_code == 403
    assert blob_service().get_blob_client(UPLOADS, name).download_blob().readall() == b"first"
