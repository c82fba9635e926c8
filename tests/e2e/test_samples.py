"""The sample jobs as people use them, from the page to the result in the bell.

Each test is named after the module of its kind, and imports in its body what it alone
needs: `scripts/new-job --remove` deletes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.test_bell_use import choose
from tests.support.bell import Bell
from tests.support.product import running_product
from tools.local_stack.app_servers import FUNCTIONS
from tools.local_stack.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The app as it is, with its own kinds."""
    with running_product(app=FUNCTIONS) as stack:
        yield stack


def test_zip_builder_gives_a_zip_to_download(bell: Bell, tmp_path: Path) -> None:
    import io
    import zipfile

    bell.close()
    choose(bell, tmp_path, {"a.txt": b"1", "b.txt": b"2", "c.csv": b"3"})
    bell.page.get_by_label("Name").fill("three")
    bell.page.get_by_role("button", name="Zip 3 files").click()
    expect(bell.toasts).to_contain_text("Zip of three")
    bell.open()
    row = bell.rows.first
    expect(row).to_contain_text("3 files")
    with bell.page.expect_download() as download:
        row.get_by_role("button", name="Download zip").click()
    assert download.value.suggested_filename == "three.zip"
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as zip_file:
        assert zip_file.read("b.txt") == b"2"


def test_csv_import_tells_its_rows_and_the_lines_that_it_rejects(bell: Bell, tmp_path: Path) -> None:
    bell.close()
    bad = b"order,quantity\n" + b"".join(b"%d,2\n" % number for number in range(1_200)) + b"1201\n1202,1,x\n"
    choose(bell, tmp_path, {"orders.csv": bad})
    bell.page.get_by_label("Name").fill("October")
    bell.page.get_by_role("button", name="Import 1 CSV file").click()
    expect(bell.toasts).to_contain_text("Import of October")
    bell.open()
    row = bell.rows.first
    expect(row).to_contain_text("Rows imported: 1,200 of 1,202")
    expect(row).to_contain_text("Columns: order, quantity")
    row.get_by_role("button", name="Details").click()
    row.get_by_text("2 lines were rejected").click()
    expect(row).to_contain_text("orders.csv, line 1202: The number of fields is 1 instead of 2.")
    expect(row.get_by_role("button", name="Download")).to_have_count(0)
    bell.picture("csv-import")


def test_story_writer_is_started_without_files_and_shows_its_story(bell: Bell) -> None:
    bell.close()
    bell.page.get_by_role("button", name="Write a story").click()
    bell.open()
    row = bell.rows.first
    expect(row).to_contain_text("Story about the sea")
    # pushed while it is written, and shown as flowing text
    expect(row.get_by_role("log")).to_contain_text("Once", timeout=60_000)
    expect(row).to_contain_text("Once upon a time there was the sea.", timeout=60_000)
    expect(row).to_contain_text("words", timeout=60_000)
