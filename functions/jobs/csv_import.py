"""Imports the rows of uploaded CSV files, and reports which lines it rejects, and why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from archive import BlockWriter
from csv_files import DELIMITERS, Records, lines, text_problem
from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, RetryPolicy
from queued_jobs.push.view import Public
from storage import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, RESULTS, blob_service, delete_blob, list_files

_MAX_REJECTED_SHOWN = 100
_MAX_COLUMNS_SHOWN = 50
_MAX_NAME = 100
#: Each row repeats the names of the columns, which may be much longer than its values.
_MAX_RESULT_BYTES = 10 * MAX_BYTES


class CsvImportRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    container: Literal["uploads"] = "uploads"
    #: The prefix returned by the upload route.
    prefix: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}/$")]
    #: The user's name for this import.
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] | None = None


class RejectedLine(Public):
    file: str
    #: Line in which the row ends, starting from 1.
    line: int
    reason: str


class CsvImportResult(Public):
    #: The imported rows, one JSON object per line.
    container: str
    blob: str
    files: int
    #: Columns of the first file; at most fifty.
    columns: tuple[str, ...]
    #: The delimiters that were found, by name.
    delimiters: tuple[str, ...] = ()
    rows: int
    imported: int
    rejected: int
    #: The first hundred.
    rejected_lines: tuple[RejectedLine, ...]


class NothingToImport(PermanentError):
    """There are no files below this prefix, or there are too many or too large ones."""


class CsvImport(JobRunner[CsvImportRequest, CsvImportResult]):
    """Streams file by file and stores the valid rows as JSON lines, in a blob that appears when it is complete.

    Files are UTF-8, with commas, semicolons, tabs or vertical bars, or the delimiter of a first line `sep=`. The first
    row names the columns; a row is rejected if its number of fields differs, its quoting is invalid or it is not UTF-8.
    Another attempt starts again with a separate file.
    """

    kind = "csv-import"
    queue = "csv-import"
    retry = RetryPolicy(max_attempts=3)

    @classmethod
    def label(cls, request: CsvImportRequest) -> str:
        return f"Import of {request.name or 'CSV files'}"

    def on_execute(self, request: CsvImportRequest, ctx: JobContext[CsvImportResult]) -> CsvImportResult:
        folder = f"{ctx.job.user_id}/{request.prefix}"
        blobs, others = list_files(request.container, folder)
        total = sum(blob.size for blob in blobs)
        if any(blob.size > MAX_FILE_BYTES for blob in blobs):
            raise NothingToImport(f"A file is larger than {MAX_FILE_BYTES // 1024**2} MiB.")
        if not blobs or len(blobs) + len(others) > MAX_FILES or total > MAX_BYTES:
            limit = f"{MAX_BYTES // 1024**3} GiB"
            raise NothingToImport(f"There must be 1 to {MAX_FILES:,} files, at most {limit} in total.")
        name = f"{ctx.job.id}/{ctx.claim_id}.jsonl"  # unique to this attempt
        target = BlockWriter(blob_service().get_blob_client(RESULTS, name))
        rejected: list[RejectedLine] = []
        columns: list[str] = []
        delimiters: dict[str, None] = {}  # each once, in their order
        rows = imported = done = 0

        def counted(pieces: Iterable[bytes]) -> Iterator[bytes]:
            nonlocal done
            for piece in pieces:
                ctx.checkpoint()
                yield piece
                done += len(piece)
                ctx.report(done / total if total else None, f"{rows:,} rows")

        for blob in blobs:
            file = blob.name.removeprefix(folder)[-_MAX_NAME:]
            pieces = blob_service().get_blob_client(request.container, blob.name).download_blob().chunks()
            records = Records(lines(counted(pieces), file), file)
            header = records.header()
            columns = columns or header
            delimiters[DELIMITERS.get(records.delimiter, records.delimiter)] = None
            for line, row, problem in records:
                rows += 1
                reason = problem or reason_against(row, header)
                if reason:
                    if len(rejected) < _MAX_REJECTED_SHOWN:
                        rejected.append(RejectedLine(file=file, line=line, reason=reason))
                    continue
                target.write(json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False).encode() + b"\n")
                imported += 1
                if target.size > _MAX_RESULT_BYTES:
                    raise NothingToImport("The column names are too long to repeat in each row.")
        ctx.checkpoint()
        target.commit(content_type="application/jsonl")
        return CsvImportResult(
            container=RESULTS,
            blob=name,
            files=len(blobs),
            columns=tuple(name[:_MAX_NAME] for name in columns[:_MAX_COLUMNS_SHOWN]),
            delimiters=tuple(delimiters),
            rows=rows,
            imported=imported,
            rejected=rows - imported,
            rejected_lines=tuple(rejected),
        )

    async def on_result_expired(self, job: QueuedJob, result: CsvImportResult) -> None:
        await self.on_result_discarded(job, result)

    async def on_result_discarded(self, job: QueuedJob, result: CsvImportResult) -> None:
        await asyncio.to_thread(delete_blob, result.container, result.blob)


def reason_against(row: list[str], header: list[str]) -> str:
    """Return the reason to reject the row, or "" for a valid one."""
    if len(row) != len(header):
        return f"The number of fields is {len(row)} instead of {len(header)}."
    return text_problem("".join(row))
