"""Zips the uploads below a prefix: a kind with a request, progress, a file as its result, and errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Annotated, Literal

from azure.storage.blob import BlobClient
from pydantic import ConfigDict, StringConstraints, field_validator

from archive import Archive, BlockWriter
from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, ResultFile, RetryPolicy
from queued_jobs.push.view import Public
from storage import RESULTS, blob_service, delete_blob

#: An upload that ends like this holds the job, when it comes to it, until the upload is deleted.
HOLD = ".hold"


class PackRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    container: Literal["uploads"] = "uploads"
    prefix: Annotated[str, StringConstraints(max_length=400)] = ""
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] | None = None

    @field_validator("prefix")
    @classmethod
    def _stays_inside(cls, prefix: str) -> str:
        trimmed = prefix.rstrip(" ").lstrip(" /")
        if not prefix.isprintable() or "\\" in trimmed or ".." in trimmed.split("/") or "://" in trimmed:
            raise ValueError("must be a relative path of printable characters, without .. in it")
        return trimmed


class SkippedFile(Public):
    name: str
    reason: str


class PackResult(Public):
    container: str
    blob: str
    file_name: str
    files: int
    bytes: int
    zip_bytes: int
    skipped: tuple[SkippedFile, ...] = ()
    skipped_count: int = 0


class NothingToZip(PermanentError):
    """There are no files below this prefix."""


class Packer(JobRunner[PackRequest, PackResult]):
    kind = "packer"
    queue = "packer"
    retry = RetryPolicy(max_attempts=3)

    @classmethod
    def label(cls, request: PackRequest) -> str:
        return f"Zip of {request.name or 'your files'}"

    @classmethod
    def file(cls, result: PackResult) -> ResultFile:
        return ResultFile(
            container=result.container,
            blob=result.blob,
            file_name=result.file_name,
            content_type="application/zip",
        )

    def on_execute(self, request: PackRequest, ctx: JobContext[PackResult]) -> PackResult:
        folder = f"{ctx.job.user_id}/{request.prefix}"
        blobs = list(blob_service().get_container_client(request.container).list_blobs(folder))
        if not blobs:
            raise NothingToZip
        files = [blob for blob in blobs if not blob.name.endswith(HOLD)]
        total = sum(blob.size for blob in files)
        name = f"{ctx.job.id}/{ctx.claim_id}.zip"
        target = BlockWriter(blob_service().get_blob_client(RESULTS, name))
        done = 0

        def counted(blob: str) -> Iterator[bytes]:
            nonlocal done
            for piece in blob_service().get_blob_client(request.container, blob).download_blob().chunks():
                ctx.checkpoint()
                yield piece
                done += len(piece)
                ctx.report(done / total if total else None, f"{done:,} of {total:,} bytes")

        with Archive.writing(target) as archive:
            for blob in blobs:
                if blob.name.endswith(HOLD):
                    _wait_until_deleted(blob_service().get_blob_client(request.container, blob.name), ctx)
                    continue
                archive.add(blob.name.removeprefix(folder), blob.last_modified, counted(blob.name))
        ctx.checkpoint()
        target.commit(content_type="application/zip", metadata={})
        return PackResult(
            container=RESULTS, blob=name, file_name="files.zip", files=len(files), bytes=done, zip_bytes=target.size
        )

    async def on_result_expired(self, job: QueuedJob, result: PackResult) -> None:
        await self.on_result_discarded(job, result)

    async def on_result_discarded(self, job: QueuedJob, result: PackResult) -> None:
        await asyncio.to_thread(delete_blob, result.container, result.blob)


def _wait_until_deleted(blob: BlobClient, ctx: JobContext[PackResult]) -> None:
    while blob.exists():
        ctx.checkpoint()
        time.sleep(0.05)
