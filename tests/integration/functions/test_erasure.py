"""Admins erase a user over the API, with the user's uploads."""

from __future__ import annotations

import pytest

from storage import UPLOADS, blob_service
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_admin_api import read
from tests.integration.functions.test_jobs_api import assert_problem
from tests.integration.functions.test_upload_links import put, target_of


async def test_jobs_and_uploads_of_one_user_are_deleted(site: Site) -> None:
    kept = {}
    for who in ("ann", "ben"):
        link, kept[who] = await target_of(site, "file")
        assert (await put(site, link, b"content", blob_type="BlockBlob")).status_code == 201
    container = blob_service().get_container_client(UPLOADS)
    ann = await site.user_id("ann")
    other = f"{await site.user_id('ben')}/file"
    container.upload_blob(other, b"content", overwrite=True)
    answer = await site.call("ann", "POST", "/api/jobs/packer", json={"prefix": "a/"})
    assert answer.status_code == 202, answer.text
    dry = await site.call("admin", "POST", "/api/admin/erase", json={"userId": ann, "dryRun": True})
    assert dry.json() == {"deleted": 0, "left": 1, "exact": True}
    done = await site.call("admin", "POST", "/api/admin/erase", json={"userId": ann})
    assert done.json() == {"deleted": 1, "left": 0, "exact": True}
    assert list(container.list_blob_names(name_starts_with=f"{ann}/")) == []
    assert other in list(container.list_blob_names())
    recorded = [one for one in (await read(site, "audit"))["items"] if one["action"] == "erase"]
    assert [(one["filter"], one["changed"]) for one in recorded] == [({"user_id": ann}, 1)]


@pytest.mark.parametrize("body", [{}, {"userId": ""}, {"userId": "a/b"}, {"userId": "a" * 129}, {"user": "ann"}])
async def test_a_request_that_names_no_user_changes_nothing(site: Site, body: dict[str, str]) -> None:
    assert_problem(await site.call("admin", "POST", "/api/admin/erase", json=body), 422)


#: What code that starts jobs may have called its users, and what lists of blobs or their XML cannot name.
ODD = (
    *map(chr, range(1, 32)),
    "\x7f",
    "\x85",
    "\u2028",
    "\ufffe",
    "\uffff",
    *"\"'&<>%?#\\.+ ",
    "..",
    "%00",
    "\U0001f600",
)


async def test_users_of_any_name_are_erased(site: Site) -> None:
    answers = {}
    for odd in ODD:
        for user_id in (odd, f"a{odd}b"):
            answer = await site.call("admin", "POST", "/api/admin/erase", json={"userId": user_id})
            answers[user_id] = answer.status_code
    assert {user_id: status for user_id, status in answers.items() if status != 200} == {}
