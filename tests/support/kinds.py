"""Kinds of jobs for tests of what is stored of requests and results."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import (
    BaseModel,
)

from queued_jobs import JobContext, JobRunner


class Nothing(BaseModel):
    pass


def made[ModelT: BaseModel](model: type[ModelT], /, **values: Any) -> ModelT:
    return model.model_validate(values)


def echo(model: type[BaseModel]) -> type[JobRunner[Any, Any]]:
    """Return a kind that notes its request, and returns what it is told to."""

    class Echo(JobRunner[model, model]):  # type: ignore[valid-type]
        kind = queue = "echo"
        seen: ClassVar[list[BaseModel]] = []
        answer: ClassVar[BaseModel]

        async def on_execute(self, request: Any, ctx: JobContext[Any]) -> Any:
            self.seen.append(request)
            return self.answer

    return Echo
