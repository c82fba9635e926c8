"""Writes docs/reference/api.md from the docstrings of the public names.

Run `python -m tools.docs_and_samples.api_reference`.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import queued_jobs
from queued_jobs.notifier import Notifier
from queued_jobs.queues import Queues
from queued_jobs.repository import Repository
from queued_jobs.schema import Tables

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/api.md"

_HEAD = """# The library's public names

Names that are not listed here are private and may change. This page is written from the docstrings, so change it there,
then run `python -m tools.docs_and_samples.api_reference`.
"""
#: The public names besides the exports of `queued_jobs` itself, by the module to import them from.
_PUBLIC = {
    "queued_jobs.batch": ("Batch", "FollowUp"),
    "queued_jobs.blocking": (),
    "queued_jobs.registry": ("JobRegistry",),
    "queued_jobs.errors": (),
    "queued_jobs.model": ("JobError",),
    "queued_jobs.message": ("JobMessage",),
    "queued_jobs.encryption": ("seal_with",),
    "queued_jobs.postgres": ("PostgresRepository",),
    "queued_jobs.database": ("Database",),
    "queued_jobs.schema": ("Tables", "migrate"),
    "queued_jobs.repository": ("Repository",),
    "queued_jobs.queues": ("QueueDepth", "QueueMissing", "StorageQueues"),
    "queued_jobs.notifier": ("Notifier", "NullNotifier"),
    "queued_jobs.push.signalr": ("SignalRNotifier",),
    "queued_jobs.push.webhook": ("Webhook",),
    "queued_jobs.announcements": ("flush_pushes",),
    "queued_jobs.sweeper": ("Sweeper", "SweepReport"),
    "queued_jobs.tracker": ("ANY_USER", "JobTracker"),
    "queued_jobs.dashboard.search": ("Cursor", "JobCount", "JobQuery", "Page"),
    "queued_jobs.dashboard.bulk": ("BulkReport",),
    "queued_jobs.dashboard.stats": ("Stats",),
    "queued_jobs.dashboard.failures": ("Failures",),
    "queued_jobs.testing": (),
}
_WIDTH = 120
_MADE_BY_THE_LIBRARY = {
    *("Batch", "BlockingBatch", "BlockingHandle", "BlockingJobs"),
    *("JobContext", "JobFailed", "JobHandle", "JobRunner", "JobTracker", "Sweeper"),
}
#: Interfaces: their methods are documented here, not again at each implementation.
_PROTOCOLS = (Notifier, Repository, Queues)
_SECTION = re.compile(r"\n(Parameters|Attributes|Raises|Returns)\n-+\n")


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [_HEAD, "## queued_jobs\n", *_names(queued_jobs, queued_jobs.__all__)]
    for path, names in _PUBLIC.items():
        module = importlib.import_module(path)
        parts += [f"## {path}\n", *_names(module, names or _all_names(module))]
    return "\n".join(parts)


def _all_names(module: ModuleType) -> Sequence[str]:
    """Return the names that a module exports or, without `__all__`, the classes that it defines and others do not."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    classes = [
        value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__
    ]
    return [cls.__name__ for cls in classes if cls.__name__ not in queued_jobs.__all__]


def _names(module: ModuleType, names: Sequence[str]) -> Iterator[str]:
    for name in sorted(names, key=lambda name: (name[0].islower(), name.lower())):
        value = getattr(module, name)
        yield f"### {name}\n"
        if inspect.isclass(value):
            yield from _class(name, value)
        elif not inspect.isfunction(value):
            yield _constant(name)
        else:
            yield _code(f"{_prefix(value)}{name}{_signature(value)}")
            yield _prose(value)


def _class(name: str, cls: type[Any]) -> Iterator[str]:
    others_make_it = issubclass(cls, (Exception, enum.Enum)) or getattr(cls, "_is_protocol", False)
    if not (others_make_it or _is_row(cls) or name in _MADE_BY_THE_LIBRARY):
        yield _code(f"{name}{_signature(cls.__init__).removesuffix(' -> None')}")
    yield _prose(cls)
    if issubclass(cls, enum.Enum):
        yield "Members: " + ", ".join(f"`{member.name}`" for member in cls) + ".\n"
    for title, items in (("Fields", list(_fields(cls))), ("Methods", list(_methods(cls)))):
        if items:
            yield f"{title}:\n\n" + "\n".join(items) + "\n"


def _constant(name: str) -> str:
    """Describe a value or a type alias with the `#:` comment before it."""
    for path in sorted(Path(queued_jobs.__file__).parent.glob("*.py")):
        found = re.search(rf"((?:^#:.*\n)+){name}(?:: \S+)? = ", path.read_text(), re.MULTILINE)
        if found is not None:
            return _paragraph(found[1].replace("#:", "")) + "\n"
    raise LookupError(f"{name} is public and has no comment that begins with #: before it.")


def _is_row(cls: type[Any]) -> bool:
    """Return whether it is a record that the library creates, and applications read."""
    return dataclasses.is_dataclass(cls) and "from_row" in vars(cls)


def _fields(cls: type[Any]) -> Iterator[str]:
    """Describe the class's own annotated attributes with the `#:` comments before them."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    untold: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.col_offset != 4:
            continue
        name, value = node.target.id, node.value
        if name.startswith("_"):
            continue
        comment: list[str] = []
        while lines[node.lineno - 2 - len(comment)].strip().startswith("#:"):
            comment.insert(0, lines[node.lineno - 2 - len(comment)].strip().removeprefix("#:").strip())
        type_ = re.sub(r"^ClassVar\[(.*)\]$", r"\1", ast.unparse(node.annotation))
        field = f"`{name}: {type_}{'' if value is None else f' = {ast.unparse(value)}'}`"
        if comment:
            yield _item(f"- {field}: {' '.join(comment)}")
        elif _is_row(cls):
            untold.append(f"`{name}`")
        elif not dataclasses.is_dataclass(cls):  # a dataclass shows them in its signature
            yield _item(f"- {field}")
    if untold:
        yield _item(f"- and {', '.join(untold)}")


def _methods(cls: type[Any]) -> Iterator[str]:
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, (property, cached_property)):
            yield _item(f"- `.{name}`{_summary(value)}")
            continue
        function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if inspect.isfunction(function) and (function.__doc__ or not _is_told_of_elsewhere(cls, name)):
            yield _item(f"- `{_prefix(function)}{name}{_signature(function)}`{_summary(function)}")


def _is_told_of_elsewhere(cls: type[Any], name: str) -> bool:
    return any(hasattr(protocol, name) and cls is not protocol for protocol in _PROTOCOLS)


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parts: list[str] = []
    for name, parameter in signature.parameters.items():
        if name in ("self", "cls"):
            continue
        named_only = parameter.kind is parameter.KEYWORD_ONLY
        if named_only and not any(part.startswith("*") for part in parts):
            parts.append("*")
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        stars = "**" if parameter.kind is parameter.VAR_KEYWORD else stars
        default = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
        parts.append(f"{stars}{name}: {parameter.annotation}{default}")
    return f"({', '.join(parts)}) -> {signature.return_annotation}"


def _value(value: object) -> str:
    if isinstance(value, timedelta):
        units = ((unit, value / timedelta(**{unit: 1})) for unit in ("days", "hours", "minutes", "seconds"))
        return next((f"timedelta({unit}={number:g})" for unit, number in units if number >= 1), "timedelta()")
    if isinstance(value, (str, int, float, tuple, type(None))):
        return repr(value)
    if isinstance(value, Tables):
        return "Tables()"
    return "..."


def _prefix(function: Any) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


def _summary(value: Any) -> str:
    """Return a docstring as one paragraph, with its section names marked."""
    text, *sections = re.split(_SECTION, inspect.getdoc(value) or "")
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        text += f"\n{title}: " + re.sub(r"^(\S+)$", r"`\1`:", body, flags=re.MULTILINE)
    return ": " + " ".join(text.split()) if text else ""


def _item(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)


def _code(text: str) -> str:
    if len(text) > _WIDTH:
        head, _, rest = text.partition("(")
        inside, _, tail = rest.rpartition(")")
        # a comma that is not within brackets
        parameters = re.split(r", (?![^\[(]*[\])])", inside)
        text = f"{head}(\n" + "".join(f"    {parameter},\n" for parameter in parameters) + f"){tail}"
    return f"```python\n{text}\n```\n"


def _prose(value: Any) -> str:
    """Return a docstring, with its sections of names and descriptions as lists."""
    text, *sections = re.split(_SECTION, inspect.getdoc(value) or "")
    out = [_paragraph(part) for part in re.split(r"\n\s*\n", text.strip())]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        items: list[str] = []
        for line in filter(None, body.splitlines()):
            if line.startswith(" "):
                items[-1] += f" {line.strip()}"
            else:
                items.append(f"- `{line}`:")
        out.append(f"{title}:\n\n" + "\n".join(map(_item, items)))
    return "\n\n".join(out) + "\n"


def _paragraph(text: str) -> str:
    if "--->" in text:  # a drawing
        return f"```\n{text}\n```"
    if text.startswith("- "):
        return text
    return textwrap.fill(" ".join(text.split()), _WIDTH, break_on_hyphens=False, break_long_words=False)


def main() -> None:
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
