"""Zips all files below a prefix of the user's folder, of any total size up to the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from pydantic import ConfigDict, StringConstraints, field_validator

from archive import Archive, BlockWriter, safe_file_name
from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, ResultFile, RetryPolicy
from queued_jobs.push.view import Public
from storage import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, RESULTS, blob_service, delete_blob, list_files

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

_MAX_SHOWN = 100
_MAX_NAME_SHOWN = 200


class ZipRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    container: Literal["uploads"] = "uploads"
    #: Below the user's folder; empty for all of it.
    prefix: Annotated[str, StringConstraints(max_length=400)] = ""
    #: The user's name for these files.
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)] | None = None

    @field_validator("prefix")
    @classmethod
    def _stays_inside(cls, prefix: str) -> str:
        # stripped first, since the stored value is validated again when it is read
        trimmed = prefix.rstrip(" ").lstrip(" /")
        if not prefix.isprintable() or "\\" in trimmed or ".." in trimmed.split("/") or "://" in trimmed:
            raise ValueError("must be a relative path of printable characters, without .. in it")
        return trimmed


class SkippedFile(Public):
    name: str
    reason: str


class RenamedFile(Public):
    name: str
    #: Its name in the zip.
    stored: str


class ZipResult(Public):
    container: str
    blob: str
    file_name: str
    #: How many files are in the zip.
    files: int
    #: Their size before zipping.
    bytes: int
    zip_bytes: int
    #: The first hundred of the skipped files.
    skipped: tuple[SkippedFile, ...]
    skipped_count: int
    #: The first hundred of the files whose names are not safe on every system, or not unique.
    renamed: tuple[RenamedFile, ...] = ()
    renamed_count: int = 0


class TooMuchToZip(PermanentError):
    """There are too many or too large files for one zip."""


class NothingToZip(PermanentError):
    """There are no files below this prefix."""


class SourceChanged(Exception):
    """A file changed or disappeared while it was being read."""


class ZipBuilder(JobRunner[ZipRequest, ZipResult]):
    """Streams blob by blob into one zip, which appears when it is complete.

    Files are only read below the folder of the job's owner. Another attempt starts again with a separate file.
    """

    kind = "zip-builder"
    queue = "zip-builder"
    retry = RetryPolicy(max_attempts=3)

    @classmethod
    def label(cls, request: ZipRequest) -> str:
        return f"Zip of {request.name or 'your files'}"

    @classmethod
    def file(cls, result: ZipResult) -> ResultFile:
        return ResultFile(
            container=result.container,
            blob=result.blob,
            file_name=result.file_name,
            content_type="application/zip",
        )

    def on_execute(self, request: ZipRequest, ctx: JobContext[ZipResult]) -> ZipResult:
        folder = f"{ctx.job.user_id}/"
        blobs, skipped = self._list(request.container, folder + request.prefix)
        total = sum(blob.size for blob in blobs)
        name = f"{ctx.job.id}/{ctx.claim_id}.zip"  # unique to this attempt
        target = BlockWriter(blob_service().get_blob_client(RESULTS, name))
        done = 0

        def counted(blob: BlobProperties, number: int) -> Iterator[bytes]:
            nonlocal done
            for piece in self._pieces(request.container, blob):
                ctx.checkpoint()
                yield piece
                done += len(piece)
                if done > MAX_BYTES:
                    raise TooMuchToZip(_too_large())
                ctx.report(done / total if total else None, f"{number} of {len(blobs)} files")

        # names are relative to the last folder of the prefix, which may end within a name
        parent = folder + "".join(request.prefix.rpartition("/")[:2])
        renamed = []
        with Archive.writing(target) as archive:
            for number, blob in enumerate(blobs, start=1):
                file = blob.name.removeprefix(parent)
                stored = archive.add(file, blob.last_modified, counted(blob, number))
                if stored != file:
                    renamed.append(RenamedFile(name=file[-_MAX_NAME_SHOWN:], stored=stored))
        ctx.checkpoint()
        target.commit(content_type="application/zip")
        return ZipResult(
            container=RESULTS,
            blob=name,
            file_name=safe_file_name(f"{request.name or 'files'}.zip"),
            files=len(blobs),
            bytes=done,
            zip_bytes=target.size,
            skipped=tuple(skipped[:_MAX_SHOWN]),
            skipped_count=len(skipped),
            renamed=tuple(renamed[:_MAX_SHOWN]),
            renamed_count=len(renamed),
        )

    async def on_result_expired(self, job: QueuedJob, result: ZipResult) -> None:
        await self.on_result_discarded(job, result)

    async def on_result_discarded(self, job: QueuedJob, result: ZipResult) -> None:
        await asyncio.to_thread(delete_blob, result.container, result.blob)

    def _list(self, container: str, prefix: str) -> tuple[list[BlobProperties], list[SkippedFile]]:
        """Return the files to zip and those to skip. Raises before reading if they exceed the limits."""
        taken, others = list_files(container, prefix)
        if len(taken) + len(others) > MAX_FILES:
            raise TooMuchToZip(f"There are more than {MAX_FILES:,} files.")
        if any(blob.size > MAX_FILE_BYTES for blob in taken):
            raise TooMuchToZip(f"A file is larger than {MAX_FILE_BYTES // 1024**2} MiB.")
        reason = "It is not an ordinary file."
        skipped = [SkippedFile(name=blob.name[-_MAX_NAME_SHOWN:], reason=reason) for blob in others]
        if sum(blob.size for blob in taken) > MAX_BYTES:
            raise TooMuchToZip(_too_large())
        if not taken:
            raise NothingToZip
        return taken, skipped

    def _pieces(self, container: str, blob: BlobProperties) -> Iterator[bytes]:
        client = blob_service().get_blob_client(container, blob.name)
        try:
            # only the version that was listed and counted
            stream = client.download_blob(etag=blob.etag, match_condition=MatchConditions.IfNotModified)
            yield from stream.chunks()
        except (ResourceModifiedError, ResourceNotFoundError) as exc:
            raise SourceChanged("A file changed or disappeared while it was being read.") from exc


def _too_large() -> str:
    return f"The files are larger than {MAX_BYTES // 1024**3} GiB in total."
