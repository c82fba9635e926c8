"""A kind whose request, label, result and error are one text each, of any length."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel

from queued_jobs import JobContext, JobRunner, PermanentError, QueuedJob, ResultFile

WRONG = "wrong "


class Text(BaseModel):
    text: str


class Wordy(JobRunner[Text, Text]):
    kind = "wordy"
    queue = "wordy"
    schedule = "0 0 4 1 1 *"
    keep_result = timedelta(hours=1)

    @classmethod
    def scheduled_request(cls, due: datetime) -> Text:
        return Text(text="nothing")

    @classmethod
    def label(cls, request: Text) -> str:
        return request.text

    @classmethod
    def file(cls, result: Text) -> ResultFile:
        return ResultFile(container="results", blob="none", file_name="none.txt", content_type="text/plain")

    async def on_execute(self, request: Text, ctx: JobContext[Text]) -> Text:
        ctx.report(0.5, request.text)
        ctx.log(request.text)
        if request.text.startswith(WRONG):
            raise PermanentError(request.text)
        return request

    async def on_result_expired(self, job: QueuedJob, result: Text) -> None:
        pass
