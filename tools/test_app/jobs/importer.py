"""Counts the lines of the uploads below a prefix: a second kind, with a schedule, whose result is not a file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from queued_jobs import JobContext, JobRunner, PermanentError
from queued_jobs.push.view import Public
from storage import UPLOADS, blob_service


class ImportRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    prefix: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}/$")]
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] | None = None


class RejectedLine(Public):
    file: str
    line: int
    reason: str


class ImportResult(Public):
    files: int
    columns: tuple[str, ...]
    rows: int
    imported: int
    rejected: int
    rejected_lines: tuple[RejectedLine, ...]


class NothingToImport(PermanentError):
    """There are no files below this prefix."""


class Importer(JobRunner[ImportRequest, ImportResult]):
    kind = "importer"
    queue = "importer"
    schedule = "0 0 4 1 1 *"

    @classmethod
    def scheduled_request(cls, due: datetime) -> ImportRequest:
        return ImportRequest(prefix=f"{'0' * 32}/")

    @classmethod
    def label(cls, request: ImportRequest) -> str:
        return f"Import of {request.name or 'your files'}"

    def on_execute(self, request: ImportRequest, ctx: JobContext[ImportResult]) -> ImportResult:
        uploads = blob_service().get_container_client(UPLOADS)
        rows, rejected = 0, []
        blobs = list(uploads.list_blobs(f"{ctx.job.user_id}/{request.prefix}"))
        if not blobs:
            raise NothingToImport
        for blob in blobs:
            ctx.checkpoint()
            for number, line in enumerate(uploads.download_blob(blob.name).readall().splitlines(), start=1):
                rows += 1
                if not line:
                    rejected.append(RejectedLine(file=blob.name[-100:], line=number, reason="It is empty."))
        return ImportResult(
            files=len(blobs),
            columns=("line",),
            rows=rows,
            imported=rows - len(rejected),
            rejected=len(rejected),
            rejected_lines=tuple(rejected[:100]),
        )
