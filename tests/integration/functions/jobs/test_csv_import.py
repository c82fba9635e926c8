"""The sample job whose result is not a file, on real blobs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

import jobs
from csv_files import Records, find_delimiter, lines
from jobs import csv_import
from jobs.csv_import import CsvImportResult
from queued_jobs import JobContext
from queued_jobs.errors import JobsError, RetryLater
from queued_jobs.hooks import call_hook
from storage import blob_service
from tests.integration.functions.conftest import Site
from tests.integration.functions.test_late_workers import AFTER, keep_the_winners_file
from tests.support.growth import grows_too_fast, repeated


@pytest.fixture
def kinds() -> ModuleType:
    return jobs


async def imported(site: Site, files: dict[str, bytes]) -> dict[str, Any]:
    body = {"prefix": await site.upload("ann", files), "name": "orders"}
    answer = await site.call("ann", "POST", "/api/jobs/csv-import", json=body)
    assert answer.status_code == 202, answer.text
    await site.deliver("csv-import")
    return await site.job("ann", answer.json()["id"])


async def test_good_rows_are_stored_and_bad_lines_are_told(site: Site) -> None:
    orders = 'order,note\r\n1,"two\r\nlines"\r\n2\r\n3,ok\r\n\r\n4,"bad"quote\r\n5,\xff\r\n6,a,b\r\n7,\u00fc'
    broken = orders.encode().replace("\xff".encode(), b"\xff")
    job = await imported(site, {"orders.csv": b"\xef\xbb\xbf" + broken, "more.csv": b"order,note\n8,x\n"})
    assert (job["status"], job["label"]) == ("succeeded", "Import of orders")
    result = job["result"]
    assert (result["files"], result["columns"], result["delimiters"]) == (2, ["order", "note"], ["comma"])
    assert (result["rows"], result["imported"], result["rejected"]) == (8, 4, 4)
    assert [(each["file"], each["line"]) for each in result["rejectedLines"]] == [
        ("orders.csv", 4),
        ("orders.csv", 7),
        ("orders.csv", 8),
        ("orders.csv", 9),
    ]
    reasons = [each["reason"] for each in result["rejectedLines"]]
    assert reasons[0] == "The number of fields is 1 instead of 2."
    assert reasons[1].startswith("It is not valid CSV:")
    assert reasons[2] == "It is not UTF-8."
    stored = blob_service().get_blob_client(result["container"], result["blob"]).download_blob().readall()
    assert [json.loads(line) for line in stored.decode().splitlines()] == [
        {"order": "8", "note": "x"},
        {"order": "1", "note": "two\r\nlines"},
        {"order": "3", "note": "ok"},
        {"order": "7", "note": "\u00fc"},
    ]


async def test_only_a_hundred_rejected_lines_are_kept(site: Site) -> None:
    job = await imported(site, {"a.csv": b"one,two\n" + b"x\n" * 150})
    assert (job["result"]["rejected"], len(job["result"]["rejectedLines"])) == (150, 100)


async def test_files_of_other_delimiters_are_read_and_told(site: Site) -> None:
    files = {
        "a.csv": "Name;Price, EUR;City\r\nLamp;1,50;\u00dcrzig\r\nDesk;2,75;Bern\r\n".encode("utf-8-sig"),
        "b.csv": b"a\tb\n1, 2\t3;4\n",
        "c.csv": b"sep=^\r\na^b\r\n1^2,3\r\nx\r\n",
        "d.csv": b"a,b\r1,2\r3\r",
    }
    result = (await imported(site, files))["result"]
    assert result["delimiters"] == ["semicolon", "tab", "^", "comma"]
    assert (result["columns"], result["rows"], result["imported"]) == (["Name", "Price, EUR", "City"], 7, 5)
    assert [(each["file"], each["line"]) for each in result["rejectedLines"]] == [("c.csv", 4), ("d.csv", 3)]
    stored = blob_service().get_blob_client(result["container"], result["blob"]).download_blob().readall()
    assert [json.loads(line) for line in stored.decode().splitlines()] == [
        {"Name": "Lamp", "Price, EUR": "1,50", "City": "\u00dcrzig"},
        {"Name": "Desk", "Price, EUR": "2,75", "City": "Bern"},
        {"a": "1, 2", "b": "3;4"},
        {"a": "1", "b": "2,3"},
        {"a": "1", "b": "2"},
    ]


ROWS = [f'{n},"Z\u00fcrich {n}"' if n % 7 else (f'{n},"two\nlines"' if n % 14 else f"{n}") for n in range(90)]
#: What makes bytes and characters, rows and lines differ.
MANY = {
    "a.csv": "\n".join(["order,place", *ROWS]).encode("utf-8-sig"),
    "b.csv": "\r\n".join(["sep=|", "order|place", *(row.replace(",", "|", 1) for row in ROWS)]).encode(),
    "c.csv": "\r".join(["order;place", *(f"{n};\u00fc" for n in range(50)), "1,2", "\ufeff3;4"]).encode() + b"\r\xff;1",
    "d.csv": b"order,place\n",
    "e.csv": b"order,place\n" + b"1,2\n" * 60,
}


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """End each attempt after this number of saves, as a shutdown does."""
    saved = JobContext.save
    left = 0

    def begin(saves: int, then: Callable[[Any], object] = lambda cursor: None) -> None:
        async def save(ctx: JobContext[Any], cursor: Any, **options: Any) -> None:
            nonlocal left
            await saved(ctx, cursor, **options)
            left = (left or saves) - 1
            if not left:
                then(cursor)
                raise RetryLater(timedelta())

        monkeypatch.setattr(JobContext, "save", save)
        monkeypatch.setattr(csv_import.CsvImport, "resume_after_errors", True)

    return begin


def stored_in(result: dict[str, Any]) -> bytes:
    return blob_service().get_blob_client(result["container"], result["blob"]).download_blob().readall()


@pytest.mark.parametrize("saves", [1, 3])
async def test_an_interrupted_import_is_like_one_in_a_piece(
    site: Site, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None], saves: int
) -> None:
    whole = await imported(site, MANY)
    monkeypatch.setattr(csv_import, "_MIN_ROWS_SAVED", 20)
    interrupted(saves)
    parts = await imported(site, MANY)
    for _ in range(50):
        await site.deliver("csv-import")
        parts = await site.job("ann", parts["id"])
        if parts["status"] == "succeeded":
            break
    assert stored_in(parts["result"]) == stored_in(whole["result"])
    for result in (whole["result"], parts["result"]):
        assert result.pop("blob")
    assert parts["result"] == whole["result"]
    assert parts["attempt"] > 1


async def test_an_import_whose_files_were_replaced_starts_over(
    site: Site, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    monkeypatch.setattr(csv_import, "_MIN_ROWS_SAVED", 20)
    prefix = await site.upload("ann", {"a.csv": b"a\n" + b"1\n" * 30})
    uploads = blob_service().get_container_client("uploads")
    (name,) = [blob.name for blob in uploads.list_blobs(f"{await site.user_id('ann')}/{prefix}")]
    interrupted(1, then=lambda _cursor: uploads.upload_blob(name, b"a\n2\n", overwrite=True))
    answer = await site.call("ann", "POST", "/api/jobs/csv-import", json={"prefix": prefix, "name": "orders"})
    await site.deliver("csv-import")
    job = await site.job("ann", answer.json()["id"])
    assert (job["status"], job["result"]["rows"]) == ("succeeded", 1)
    assert stored_in(job["result"]) == b'{"a": "2"}\n'


async def test_an_import_whose_blocks_are_gone_starts_over(
    site: Site, monkeypatch: pytest.MonkeyPatch, interrupted: Callable[..., None]
) -> None:
    """A late attempt commits its own blocks, so that those of the others are removed."""
    monkeypatch.setattr(csv_import, "_MIN_ROWS_SAVED", 20)
    results = blob_service().get_container_client("results")
    late: list[str] = []

    def commit(cursor: Any) -> None:
        if not late and cursor is not None:
            late.append(cursor["blob"])
            results.upload_blob(late[0], b"of a late attempt", overwrite=True)

    interrupted(1, then=commit)
    job = await imported(site, {"a.csv": b"a\n" + b"1\n" * 30})
    assert (job["status"], job["result"]["rows"]) == ("succeeded", 30)
    assert job["result"]["blob"] not in late
    assert stored_in(job["result"]) == b'{"a": "1"}\n' * 30
    assert results.download_blob(late[0]).readall() == b"of a late attempt"


TEXT = "gr\u00f6\u00dfe,ort\n1,Z\u00fcrich\n"


@pytest.mark.parametrize(
    "content",
    [
        *(TEXT.encode(encoding) for encoding in ("latin-1", "cp437", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        '"a","b"\n1,2\n'.encode("utf-16"),
        *(
            b"a\0,b\n1,2\n",
            b"\0\0\0\0",
            b"\xff\xfe",
            b"sep=\xff\na\n",
            b"sep=\0\na\n",
            b'a,"x\n\xff"\n',
            b'"a"b,c\n1,2\n',
        ),
    ],
)
async def test_the_first_line_that_is_no_utf8_is_told_with_its_file(site: Site, content: bytes) -> None:
    job = await imported(site, {"good.csv": b"a\n1\n", "other.csv": content})
    assert (job["status"], job["error"]["class"]) == ("failed", "NotCsv")
    assert "other.csv, line " in job["error"]["message"]


async def test_rows_of_another_encoding_are_rejected_and_a_replacement_character_is_none(site: Site) -> None:
    result = (await imported(site, {"a.csv": "a,b\n\ufffd,1\n".encode() + b"\xff,2\n\0,3\n\x01,4\n"}))["result"]
    assert (result["imported"], [each["line"] for each in result["rejectedLines"]]) == (2, [3, 4])


async def test_long_names_of_columns_do_not_fill_the_storage(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_import, "_MAX_RESULT_BYTES", 1_000_000)
    job = await imported(site, {"a.csv": b"a,%s\n" % (b"b" * 100_000) + b",\n" * 1_000})
    assert (job["status"], job["error"]["class"]) == ("failed", "NothingToImport")
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,\n1,2,3\n", b"a,a\n1,2\n", b"a,b\n" + b'"x\n",' * 300_000])
async def test_a_file_that_is_none_is_refused(site: Site, content: bytes) -> None:
    job = await imported(site, {"a.csv": content})
    assert (job["status"], job["error"]["class"]) == ("failed", "NotCsv")
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []


async def test_nothing_below_the_prefix_is_a_failure_for_good(site: Site) -> None:
    answer = await site.call("ann", "POST", "/api/jobs/csv-import", json={"prefix": f"{'0' * 32}/"})
    await site.deliver("csv-import")
    job = await site.job("ann", answer.json()["id"])
    assert (job["status"], job["error"]["class"]) == ("failed", "NothingToImport")


@pytest.mark.parametrize("prefix", ["", "../x/", "a/", "0" * 33 + "/"])
async def test_only_what_an_upload_named_is_a_prefix(site: Site, prefix: str) -> None:
    assert (await site.call("ann", "POST", "/api/jobs/csv-import", json={"prefix": prefix})).status_code == 422


async def test_a_result_that_lost_its_job_is_deleted(site: Site) -> None:
    job = await imported(site, {"a.csv": b"one\n1\n"})
    runner = site.services.manager.runner("csv-import")
    row = await site.services.manager.tracker.get(UUID(job["id"]), user_id=await site.user_id("ann"))
    await call_hook(runner.on_result_discarded, row, CsvImportResult.model_validate(job["result"]))
    assert list(blob_service().get_container_client("results").list_blobs(job["id"])) == []


def test_a_character_between_two_pieces_stays_whole_and_an_endless_line_is_refused() -> None:
    assert list(lines([b"a\xc3", b"\xbc\nb"], "x")) == ["a\u00fc\n", "b"]
    with pytest.raises(JobsError, match="has a line of more than"):
        list(lines([b"x" * 600_000] * 3, "x.csv"))


@pytest.mark.parametrize("unit", ["a", ",", '"', '""', "\n", "\r\n", 'a,"', '"",', "\u00fc", "\ud800"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_twice_the_text_takes_no_more_than_twice_the_time(unit: str, in_pieces: bool) -> None:
    def read(text: str) -> None:
        pieces = (part.encode("utf-8", "surrogatepass") for part in (text if in_pieces else [text]))
        with contextlib.suppress(JobsError):
            list(Records(lines(pieces, "f"), "f"))
            find_delimiter(text.splitlines(keepends=True))

    assert not grows_too_fast(read, lambda length: repeated(unit, length))


def test_no_part_of_a_long_field_becomes_a_row() -> None:
    def rows(field: str) -> list[list[str]]:
        records = Records(lines([f'a,b\n"{field}",2\n3,4\n'.encode()], "f"), "f")
        return [row for _, row, _ in records][1:]

    long = "x,y\n" * 100_000  # longer than the reader's own limit
    assert rows(long) == [[long, "2"], ["3", "4"]]
    with pytest.raises(JobsError):
        rows(long * 3)


async def test_files_of_others_are_out_of_reach(site: Site) -> None:
    prefix = await site.upload("bob", {"a.csv": b"a\n1\n"})
    answer = await site.call("ann", "POST", "/api/jobs/csv-import", json={"prefix": prefix})
    await site.deliver("csv-import")
    assert (await site.job("ann", answer.json()["id"]))["error"]["class"] == "NothingToImport"


@AFTER
async def test_the_winners_file_is_as_the_winner_left_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    await keep_the_winners_file(site, monkeypatch, "csv-import", {"a.csv": b"order,note\n1,one\n"}, after=after)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n", ","),
        ("one\n1;2\n", ","),
        ("Name;Price, EUR;City\nA;1,5;X\n", ";"),
        ("last, first;age\nDoe, J;3\n", ";"),
        ('id,text\n1,"a;b;c"\n2,"d;e"\n', ","),
        ("a,b;c\n1,2\n3,4\n", ","),
        ('"a";"b"\n"1,2";"3"\n', ";"),
        ("a|b\n1,2|3\n", "|"),
        ("a\tb\n1,2\t3;4\n", "\t"),
        ('a,"b\nc"\n', ","),
        (",,\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_splits_all_rows_alike(text: str, delimiter: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True)) == delimiter
