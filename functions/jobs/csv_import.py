"""Imports the rows of uploaded CSV files, and reports which lines it rejects, and why."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from archive import BlockWriter
from csv_files import DELIMITERS, Records, lines, text_problem
from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, RetryPolicy
from queued_jobs.errors import InvalidCursor
from queued_jobs.push.view import Public
from storage import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, RESULTS, blob_service, delete_blob, list_files

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

#: An import is saved after as many rows, or after a thousandth of those so far.
_MIN_ROWS_SAVED = 1_000
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
    An interrupted import resumes after its last save: at most about a thousandth of the rows is read again.
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
        return _Import(ctx, folder, blobs).run()

    async def on_result_expired(self, job: QueuedJob, result: CsvImportResult) -> None:
        await self.on_result_discarded(job, result)

    async def on_result_discarded(self, job: QueuedJob, result: CsvImportResult) -> None:
        await asyncio.to_thread(delete_blob, result.container, result.blob)


def reason_against(row: list[str], header: list[str]) -> str:
    """Return the reason to reject the row, or "" for a valid one."""
    if len(row) != len(header):
        return f"The number of fields is {len(row)} instead of {len(header)}."
    return text_problem("".join(row))


class _State(BaseModel):
    """What is saved: everything up to the beginning of a row."""

    #: Of names, sizes and ETags: the positions are those of these files.
    files: str
    blob: str
    staged: tuple[tuple[str, int], ...] = ()
    #: Number of the file, and where in it the next row begins.
    file: int = 0
    offset: int = 0
    line: int = 0
    done: int = 0
    size: int = 0
    rows: int = 0
    imported: int = 0
    #: Each once, in their order.
    delimiters: tuple[str, ...] = ()
    #: Number of the file, line, and reason.
    rejected: tuple[tuple[int, int, str], ...] = ()


class _Import:
    """One attempt of an import."""

    def __init__(self, ctx: JobContext[CsvImportResult], folder: str, blobs: list[BlobProperties]) -> None:
        self._ctx = ctx
        self._blobs = blobs
        self._names = [blob.name.removeprefix(folder)[-_MAX_NAME:] for blob in blobs]
        self._total = sum(blob.size for blob in blobs)
        listed = json.dumps([(blob.name, blob.size, blob.etag) for blob in blobs])
        files = hashlib.sha256(listed.encode()).hexdigest()
        state = None if ctx.cursor is None else _State.model_validate(ctx.cursor)
        # files may have been added or replaced since; blocks of two attempts never mix, see BlockWriter
        self._resumes = state is not None and state.files == files
        if state is None or not self._resumes:
            state = _State(files=files, blob=f"{ctx.job.id}/{ctx.claim_id}.jsonl")
        self._state = state
        self._saved_rows = state.rows
        self._columns: list[str] = []
        #: Bytes of the byte order mark of the file that was opened last.
        self._mark = 0
        self._target = BlockWriter(blob_service().get_blob_client(RESULTS, state.blob), staged=state.staged)

    def run(self) -> CsvImportResult:
        state = self._state
        if state.file > 0:
            self._columns = self._opened(0).header()
        while state.file < len(self._blobs):
            self._read_file()
            state.file, state.offset, state.line = state.file + 1, 0, 0
        self._ctx.checkpoint()
        self._commit()
        return CsvImportResult(
            container=RESULTS,
            blob=state.blob,
            files=len(self._blobs),
            columns=tuple(name[:_MAX_NAME] for name in self._columns[:_MAX_COLUMNS_SHOWN]),
            delimiters=tuple(DELIMITERS.get(delimiter, delimiter) for delimiter in state.delimiters),
            rows=state.rows,
            imported=state.imported,
            rejected=state.rows - state.imported,
            rejected_lines=tuple(
                RejectedLine(file=self._names[file], line=line, reason=reason) for file, line, reason in state.rejected
            ),
        )

    def _opened(self, number: int) -> Records:
        """Return a file from its beginning."""
        return Records(lines(self._pieces(number, 0), self._names[number]), self._names[number])

    def _pieces(self, number: int, offset: int) -> Iterator[bytes]:
        blob = self._blobs[number]
        client = blob_service().get_blob_client(blob.container, blob.name)
        if offset >= blob.size:
            return
        for count, piece in enumerate(client.download_blob(offset=offset).chunks()):
            self._ctx.checkpoint()
            if offset == count == 0:
                self._mark = len(codecs.BOM_UTF8) if piece.startswith(codecs.BOM_UTF8) else 0
            yield piece

    def _read_file(self) -> None:
        state, name = self._state, self._names[self._state.file]
        records = self._opened(state.file)
        header = records.header()
        self._columns = self._columns or header
        if records.delimiter not in state.delimiters:
            state.delimiters += (records.delimiter,)
        if state.line:
            text = lines(self._pieces(state.file, state.offset + self._mark), name, line_end=records.line_end)
            records.go_to(text, offset=state.offset, line=state.line)
        before = sum(blob.size for blob in self._blobs[: state.file])
        for line, row, problem in records:
            state.rows += 1
            reason = problem or reason_against(row, header)
            if not reason:
                item = json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False).encode() + b"\n"
                state.size += self._target.write(item)
                state.imported += 1
                if state.size > _MAX_RESULT_BYTES:
                    raise NothingToImport("The column names are too long to repeat in each row.")
            elif len(state.rejected) < _MAX_REJECTED_SHOWN:
                state.rejected += ((state.file, line, reason),)
            if state.rows - self._saved_rows >= max(_MIN_ROWS_SAVED, state.rows // 1000):
                state.offset, state.line = records.offset, records.line
                self._ctx.report((before + state.offset) / self._total, f"{state.rows:,} rows")
                self._save()
        self._ctx.report(
            (before + self._blobs[state.file].size) / self._total if self._total else None, f"{state.rows:,} rows"
        )

    def _save(self) -> None:
        state = self._state
        state.staged = tuple(self._target.stage())
        with suppress(
            InvalidCursor
        ):  # too large, with hundreds of delimiters: an interrupted import then resumes earlier
            self._ctx.wait(self._ctx.save(state.model_dump(mode="json")))
        self._saved_rows = state.rows

    def _commit(self) -> None:
        from azure.core.exceptions import HttpResponseError

        try:
            self._target.commit(content_type="application/jsonl")
        except HttpResponseError as exc:
            # an attempt that has lost this job has committed its own blocks, which removes the others: start over
            if self._resumes and getattr(exc, "error_code", "") in ("BlobAlreadyExists", "InvalidBlockList"):
                self._ctx.wait(self._ctx.save(None))
            raise
