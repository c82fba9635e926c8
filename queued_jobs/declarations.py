"""Checks the declaration of a kind of job at import, so that mistakes do not show only at the first message."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, RootModel, ValidationError

from queued_jobs._arguments import KIND, MAX_USER_ID
from queued_jobs._descriptions import describe
from queued_jobs.chunks import MAX_CHUNK_BYTES
from queued_jobs.ncrontab import Ncrontab
from queued_jobs.retry import RetryPolicy
from queued_jobs.serialization import NotStorable, describe_invalid, form_of

if TYPE_CHECKING:
    from queued_jobs.runner import JobRunner

_QUEUE = re.compile(r"(?=.{3,56}$)[a-z0-9](-?[a-z0-9])+")
_MAX_LIMIT = timedelta(days=365)
#: There are four heartbeats per lease, each a round trip to the database.
_MIN_LEASE = timedelta(milliseconds=100)
_MAX_NUMBER, _MAX_THREADS = 2**31 - 1, 1_000


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _is_output(value: object) -> bool:
    return _is_whole(value, 16 * 1024 * 1024) and isinstance(value, int) and value >= MAX_CHUNK_BYTES


def _is_limit(value: object) -> bool:
    return isinstance(value, timedelta) and timedelta() < value <= _MAX_LIMIT


def _is_lease(value: object) -> bool:
    return isinstance(value, timedelta) and _MIN_LEASE <= value <= _MAX_LIMIT


def _is_span(value: object) -> bool:
    return value is None or (isinstance(value, timedelta) and value >= timedelta())


def _is_queue(value: object) -> bool:
    return isinstance(value, str) and _QUEUE.fullmatch(value) is not None and not value.endswith("-poison")


def _are_priorities(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, str) for one in value) and len({*value}) == len(value)


def _is_user(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_USER_ID and value.isprintable()


_ATTRIBUTES: dict[str, tuple[Callable[[object], bool], str]] = {
    "kind": (
        lambda value: isinstance(value, str) and KIND.fullmatch(value) is not None,
        "a string of at most 63 lower-case letters, digits and dashes",
    ),
    "queue": (_is_queue, "3 to 56 lower-case letters, digits and single dashes, and not end in -poison"),
    "schema_version": (lambda value: _is_whole(value, _MAX_NUMBER), "a whole number, at least 1"),
    "retry": (lambda value: isinstance(value, RetryPolicy), "a RetryPolicy, such as RetryPolicy(max_attempts=3)"),
    "max_resumes": (lambda value: value == 0 or _is_whole(value, _MAX_NUMBER), "a whole number, at least 0"),
    "resume_after_errors": (lambda value: isinstance(value, bool), "True or False"),
    "max_output": (_is_output, "a whole number of bytes from 65,536 to 16,777,216"),
    "timeout": (_is_limit, "a timedelta longer than zero and at most a year"),
    "lease": (_is_lease, "a timedelta from 0.1 seconds to a year"),
    "schedule": (lambda value: value is None or isinstance(value, str), 'None or a schedule such as "0 0 3 * * *"'),
    "schedule_user": (_is_user, f"a string of 1 to {MAX_USER_ID} printable characters"),
    "threads": (lambda value: _is_whole(value, _MAX_THREADS), f"a whole number from 1 to {_MAX_THREADS:,}"),
    "concurrency": (lambda value: _is_whole(value, _MAX_NUMBER), "a whole number, at least 1"),
    "priorities": (_are_priorities, 'a tuple of distinct strings, such as ("urgent",) with its comma'),
    "keep": (_is_span, "None or a timedelta that is not negative"),
    "keep_result": (_is_span, "None or a timedelta that is not negative"),
}
#: Methods called on the class, with their number of arguments.
_ON_THE_CLASS = {
    "label": 1,
    "file": 1,
    "concurrency_key": 2,
    "scheduled_request": 1,
    "read_request": 1,
    "read_result": 1,
}
#: Methods that other parts of the library rely on; must not be overridden.
_FINAL = ("queues_of_kind",)
#: Methods called on an instance, with their number of arguments besides self.
_ON_AN_OBJECT = {
    "on_execute": 2,
    "on_status_updated": 1,
    "on_result_expired": 2,
    "on_result_discarded": 2,
    "execute": 1,
    "receive": 1,
    "receive_poison": 1,
}


def check_declaration(cls: type[JobRunner[Any, Any]], base: Any) -> None:
    """Raise `TypeError` with the name, the value and the remedy for the first mistake.

    `base` is `JobRunner` itself, which cannot be imported here.
    """
    _check_types(cls)
    for name, (is_right, remedy) in _ATTRIBUTES.items():
        value = getattr(cls, name, None)
        if not is_right(value):
            raise TypeError(f"{cls.__name__}: {name} is {describe(value)}, but must be {remedy}.")
    for name, count in _ON_THE_CLASS.items():
        _check_method(cls, name, count, on_the_class=True)
    for name, count in _ON_AN_OBJECT.items():
        _check_method(cls, name, count, on_the_class=False)
    _check_final(cls, base)
    for queue in cls.queues_of_kind()[1:]:
        if not _is_queue(queue):
            raise TypeError(
                f"{cls.__name__}: the queue {describe(queue)} of a priority must be {_ATTRIBUTES['queue'][1]}: "
                "shorten or rename the priority."
            )
    _check_schedule(cls, base)


def _check_final(cls: type[JobRunner[Any, Any]], base: Any) -> None:
    for name in _FINAL:
        if inspect.getattr_static(cls, name) is not inspect.getattr_static(base, name):
            raise TypeError(f"{cls.__name__}: {name} must not be overridden; remove it.")


def _check_types(cls: type[JobRunner[Any, Any]]) -> None:
    name = cls.__name__
    if not hasattr(cls, "request_type"):
        raise TypeError(f"{name}: name the request and result types, as in JobRunner[Request, Result].")
    types: list[tuple[str, object]] = [("request", cls.request_type), ("result", cls.result_type)]
    for part, model in types:
        if part == "result" and model is None:
            continue
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            given = getattr(model, "__name__", repr(model))
            raise TypeError(f"{name}: the {part} type must be a pydantic model, not {given}.")
        if issubclass(model, RootModel):
            raise TypeError(f"{name}: {model.__name__} has no fields; make it a model with a field for its value.")
        try:
            form_of(model)
        except NotStorable as exc:
            raise TypeError(f"{name}: {model.__name__} cannot be stored: {exc}.") from exc


def _check_method(cls: type[JobRunner[Any, Any]], name: str, count: int, *, on_the_class: bool) -> None:
    static = inspect.getattr_static(cls, name, None)
    remedy = _problem_of_method(static, getattr(cls, name, None), name, count, on_the_class=on_the_class)
    if remedy:
        raise TypeError(f"{cls.__name__}: {name} {remedy}.")


def _problem_of_method(static: object, method: object, name: str, count: int, *, on_the_class: bool) -> str:
    is_bound = isinstance(static, (classmethod, staticmethod))
    if not callable(method):
        return f"is {describe(method)}, but must be a method"
    if on_the_class and not is_bound:
        return "is called on the class; put @classmethod before it"
    if on_the_class and inspect.iscoroutinefunction(method):
        return "is async def, but is not awaited; make it a plain def"
    if name in ("execute", "receive", "receive_poison") and not inspect.iscoroutinefunction(method):
        return "is awaited by triggers; make it async def"
    if name == "on_execute" and (inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)):
        return "yields, but must return its result; report progress with ctx.report"
    arguments = [None] * (count + (0 if is_bound else 1))
    try:
        inspect.signature(method).bind(*arguments)
    except TypeError as exc:
        return f"is called with {count} arguments, but does not accept them: {exc}"
    except ValueError:  # a builtin without a signature
        return ""
    return ""


def _check_schedule(cls: type[JobRunner[Any, Any]], base: Any) -> None:
    if cls.schedule is None:
        return
    try:
        Ncrontab(cls.schedule)
    except ValueError as exc:
        raise TypeError(f"{cls.__name__}: its schedule is not valid: {exc}") from exc
    own = getattr(cls.scheduled_request, "__func__", None) is not getattr(base.scheduled_request, "__func__", None)
    if own:
        return
    try:
        cls.request_type()
    except ValidationError as exc:
        raise TypeError(
            f"{cls.__name__}: it has a schedule, but its request needs arguments "
            f"({describe_invalid(exc, cls.request_type, in_words=False)}); implement scheduled_request(due)."
        ) from exc
