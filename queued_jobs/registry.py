"""The kinds of jobs of an application, discovered in one package."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Protocol, Self, cast

from queued_jobs._own_code import call_contained
from queued_jobs.kind_queues import KindQueues
from queued_jobs.model import JobKey, QueuedJob, ResultFile
from queued_jobs.redact import text_of, to_storable_text
from queued_jobs.runner import JobRunner
from queued_jobs.serialization import form_of

logger = logging.getLogger(__name__)

type RunnerType = type[JobRunner[Any, Any]]

#: Characters of a label that users see.
_MAX_LABEL = 120
#: Characters of a label that are read: many of them may be white space.
_MAX_READ = 4_000
_MAX_REASON = 300
_MAX_WARNED = 1_000


class Labelled(Protocol):
    """What a label is made from: a job, or the part of one that has its request."""

    @property
    def id(self) -> JobKey: ...
    @property
    def kind(self) -> str: ...
    @property
    def schema_version(self) -> int: ...
    @property
    def request(self) -> Mapping[str, Any]: ...


class JobRegistry:
    """The runners by kind. Raises `TypeError` if a kind or a queue is registered twice.

    A queue belongs to one kind: a message names a job, not its kind, so two functions on one queue would receive each
    other's messages.
    """

    def __init__(self, runners: Iterable[RunnerType]) -> None:
        self._runners: dict[str, RunnerType] = {}
        self._warned: set[tuple[JobKey, str]] = set()
        for runner in runners:
            for other in self._runners.values():
                shared = [("queue", queue) for queue in runner.queues_of_kind() if queue in other.queues_of_kind()]
                if runner.kind == other.kind:
                    shared.insert(0, ("kind", runner.kind))
                if shared:
                    attribute, value = shared[0]
                    names = f"{_name(other)} and {_name(runner)}"
                    raise TypeError(f"The {attribute} {value!r} is registered twice, by {names}; rename one.")
            self._runners[runner.kind] = runner

    @classmethod
    def from_package(cls, package: ModuleType) -> Self:
        """Register every `JobRunner` that a module of this package defines."""
        runners = []
        for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda found: found.name):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for value in vars(module).values():
                defined_here = inspect.isclass(value) and value.__module__ == module.__name__
                if not (defined_here and issubclass(value, JobRunner)):
                    continue
                if not inspect.isabstract(value):
                    if not hasattr(value, "kind"):
                        raise TypeError(f'{_name(value)} has no kind; set it, for example kind = "zip-builder".')
                    runners.append(value)
                elif "kind" in vars(value):
                    raise TypeError(f"{_name(value)} has a kind but no on_execute; implement it.")
        return cls(runners)

    def __iter__(self) -> Iterator[RunnerType]:
        return iter(self._runners.values())

    def get(self, kind: str) -> RunnerType | None:
        """Return the runner of a kind; None for a kind that is not registered."""
        return self._runners.get(kind)

    @property
    def queues(self) -> tuple[str, ...]:
        """All queues, including the queues of priorities. Each also has a poison queue."""
        return tuple(queue for runner in self for queue in runner.queues_of_kind())

    @property
    def kind_queues(self) -> KindQueues:
        """The queues by kind, to move jobs from queues that have been renamed."""
        return KindQueues({runner.kind: runner.queues_of_kind() for runner in self})

    def label(self, job: Labelled) -> str:
        """Return the job's label for its owner: plain text, at most 120 characters; the kind if that fails."""
        runner = self.get(job.kind)
        if runner is None:
            return job.kind
        try:
            text = call_contained(lambda: runner.label(runner.read_request(cast(QueuedJob, job)))[:_MAX_READ])
            return to_storable_text(" ".join(text.split()), _MAX_LABEL) or job.kind
        except Exception as exc:  # noqa: BLE001 (one kind's error must not hide other jobs in the bell)
            self._warn_once(job, "label", exc)
            return job.kind

    def public_result(self, job: QueuedJob) -> Mapping[str, Any] | None:
        """Return the result for clients: by alias, with computed fields."""
        runner = self.get(job.kind)
        stored: object = job.result
        if not isinstance(stored, Mapping):  # written by other code, if there is one
            return None
        if runner is None or runner.result_type is None:
            return stored
        return form_of(runner.result_type).public(stored)

    def file(self, job: QueuedJob) -> ResultFile | None:
        """Return the blob that the job's owner may download now."""
        runner = self.get(job.kind)
        if runner is None or runner.result_type is None or job.result is None:
            return None
        try:
            file: object = call_contained(lambda: runner.file(runner.read_result(job)))
            if file is not None and not isinstance(file, ResultFile):
                raise TypeError(f"file() returned {type(file).__name__} instead of ResultFile")
        except Exception as exc:  # noqa: BLE001 (as above)
            self._warn_once(job, "file", exc)
            return None
        return file

    def _warn_once(self, job: Labelled, what: str, exc: Exception) -> None:
        """Log once per job, since the bell asks repeatedly."""
        if (job.id, what) in self._warned:
            return
        if len(self._warned) >= _MAX_WARNED:
            self._warned.clear()
        self._warned.add((job.id, what))
        reason = to_storable_text(" ".join(f"{type(exc).__name__}: {text_of(exc)}".split()), _MAX_REASON)
        logger.warning("job %s: %s of kind %s failed: %s", job.id, what, job.kind, reason)


def _name(runner: RunnerType) -> str:
    return f"{runner.__module__}.{runner.__qualname__}"
