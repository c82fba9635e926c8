"""The job with which commands check a running system: it copies one small uploaded file.

`./scripts/dev --once`, `./scripts/smoke` and a deployment run it, so keep this file when you remove the sample jobs.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

from azure.core.exceptions import ResourceNotFoundError
from pydantic import ConfigDict, StringConstraints

from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, ResultFile, RetryPolicy
from queued_jobs.push.view import Public
from storage import RESULTS, UPLOADS, blob_service, delete_blob

#: Name of the uploaded file.
FILE = "probe.bin"
MAX_BYTES = 64 * 1024


class ProbeRequest(Public):
    model_config = ConfigDict(extra="forbid", strict=True)

    #: The prefix returned by the upload route.
    prefix: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}/$")]


class ProbeResult(Public):
    container: str
    blob: str
    bytes: int


class NothingToCopy(PermanentError):
    """The prefix has no file with this name, or the file is too large."""


class Probe(JobRunner[ProbeRequest, ProbeResult]):
    """Takes every path that a job of an app takes: upload, queue, worker, database, hub, results, download.

    Every signed-in user may start it, so that a check works without additional rights. That is harmless: it counts
    towards the user's quotas like any other job, reads only the user's own upload, and copies at most 64 KiB.
    """

    kind = "probe"
    queue = "probe"
    retry = RetryPolicy(max_attempts=3)
    timeout = timedelta(minutes=1)
    keep = timedelta(days=1)

    @classmethod
    def label(cls, request: ProbeRequest) -> str:
        return "Check of the system"

    @classmethod
    def file(cls, result: ProbeResult) -> ResultFile:
        return ResultFile(
            container=result.container,
            blob=result.blob,
            file_name=FILE,
            content_type="application/octet-stream",
        )

    def on_execute(self, request: ProbeRequest, ctx: JobContext[ProbeResult]) -> ProbeResult:
        source = blob_service().get_blob_client(UPLOADS, f"{ctx.job.user_id}/{request.prefix}{FILE}")
        try:
            stream = source.download_blob()
        except ResourceNotFoundError as exc:
            raise NothingToCopy(f"There is no file {FILE} below the prefix.") from exc
        if stream.size > MAX_BYTES:
            raise NothingToCopy(f"The file is larger than {MAX_BYTES // 1024} KiB.")
        content = stream.readall()
        ctx.report(0.5, "read")
        name = f"{ctx.job.id}/{ctx.claim_id}.bin"  # unique to this attempt
        blob_service().get_blob_client(RESULTS, name).upload_blob(content)
        return ProbeResult(container=RESULTS, blob=name, bytes=len(content))

    async def on_result_expired(self, job: QueuedJob, result: ProbeResult) -> None:
        await self.on_result_discarded(job, result)

    async def on_result_discarded(self, job: QueuedJob, result: ProbeResult) -> None:
        await asyncio.to_thread(delete_blob, result.container, result.blob)
