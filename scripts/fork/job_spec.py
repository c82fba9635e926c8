"""What a new kind of job is called, takes and returns."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from queued_jobs.ncrontab import Ncrontab
from scripts.fork.errors import Refused
from scripts.fork.fields import Field
from scripts.fork.kinds import Kind

MAX_NAME = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Names that a generated file imports, and functions of the app that have such names.
_TAKEN_CLASSES = frozenset({"JobContext", "JobRunner", "QueuedJob", "ResultFile", "Public", "ConfigDict", "JobBench"})
_TAKEN_KINDS = frozenset({"sweep", "sweep-uploads"})
_TAKEN_ENDINGS = ("-poison", "-schedule")
#: A queue has at most 56 characters.
_MAX_PRIORITY = 56 - MAX_NAME - 1
MAX_PRIORITIES = 5
_MAX_SCHEDULE = 60
#: The fields that a result with a file has besides its own.
FILE_FIELDS = ("container", "blob")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    kind: str
    request: tuple[Field, ...] = ()
    result: tuple[Field, ...] = ()
    schedule: str | None = None
    priorities: tuple[str, ...] = ()
    file_result: bool = False

    @property
    def module(self) -> str:
        return self.kind.replace("-", "_")

    @property
    def runner(self) -> str:
        return _class_name(self.kind)

    @property
    def title(self) -> str:
        return self.kind.replace("-", " ").capitalize()

    @property
    def has_result(self) -> bool:
        return self.file_result or bool(self.result)

    @property
    def queues(self) -> tuple[str, ...]:
        return (self.kind, *(f"{self.kind}-{priority}" for priority in self.priorities))


def _class_name(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("-"))


def check_name(name: str) -> None:
    """Raise Refused for a name that a kind, its module or its class cannot have."""
    if len(name) > MAX_NAME or len(name) < 3 or not _NAME.fullmatch(name):
        suggestion = "-".join(re.findall("[a-z0-9]+", re.sub("(?<=[a-z0-9])(?=[A-Z])", "-", name[:MAX_NAME]).lower()))
        better = (
            f"; try {suggestion}" if name.isascii() and len(suggestion) >= 3 and _NAME.fullmatch(suggestion) else ""
        )
        raise Refused(
            f"{name[:MAX_NAME]!r} is not a valid name of a kind: use 3 to {MAX_NAME} lower-case letters, digits and "
            f"single dashes, beginning with a letter{better}"
        )
    runner = _class_name(name)
    is_word = any(map(keyword.iskeyword, (name, runner))) or keyword.issoftkeyword(name)
    if is_word or hasattr(builtins, runner) or runner in _TAKEN_CLASSES:
        raise Refused(f"a kind cannot be called {name}, which has a meaning in Python; try {name}-job")
    if runner.startswith("Test"):
        raise Refused(
            f"a kind cannot be called {name}: pytest would take its class {runner} for a test; begin with another "
            f"word, such as run-{name[: MAX_NAME - 4].rstrip('-')}"
        )
    if name in _TAKEN_KINDS or name.endswith(_TAKEN_ENDINGS):
        raise Refused(f"a kind cannot be called {name}: the app has a function with such a name; choose another")


def check_schedule(schedule: str) -> None:
    """Raise Refused for a schedule that is not NCRONTAB."""
    if len(schedule) > _MAX_SCHEDULE:
        raise Refused(f"--schedule has more than {_MAX_SCHEDULE} characters; write a longer one into the file")
    try:
        Ncrontab(schedule)
    except ValueError as error:
        raise Refused(f"--schedule {schedule!r}: {error}; use six fields, such as '0 30 3 * * *'") from error


def check_priorities(priorities: Sequence[str]) -> None:
    """Raise Refused for names of priorities that a queue cannot have."""
    if len(priorities) > MAX_PRIORITIES or len({*priorities}) < len(priorities):
        raise Refused(f"--priorities takes at most {MAX_PRIORITIES} different names, since each is a queue")
    for priority in priorities:
        if len(priority) > _MAX_PRIORITY or not re.fullmatch("[a-z0-9]+", priority) or priority == "poison":
            raise Refused(
                f"{priority[:40]!r} is not a valid priority: use at most {_MAX_PRIORITY} lower-case letters and "
                "digits, such as urgent"
            )


def check_free(spec: JobSpec, others: Sequence[Kind]) -> None:
    """Raise Refused if another kind has the name, or one of its queues."""
    for other in others:
        if other.kind == spec.kind:
            raise Refused(f"the kind {spec.kind} already exists, in {other.file}; choose another name")
        shared = sorted({*spec.queues} & {*other.queues, other.kind})
        if shared:
            raise Refused(f"the queue {shared[0]} belongs to {other.kind} in {other.file}; choose another name")
