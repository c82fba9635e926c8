"""Python source that is formatted as `ruff format` does."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 120


def call(start: str, arguments: Sequence[str], end: str = ")") -> str:
    """Return `start` with the arguments and `end`: in one line, or if it is too long with one argument a line."""
    line = f"{start}{', '.join(arguments)}{end}"
    if len(line) <= WIDTH or not arguments:
        return line
    indent = " " * (len(start) - len(start.lstrip()))
    inside = f"{indent}    {', '.join(arguments)}"
    if len(inside) <= WIDTH and start.lstrip().startswith(("def ", "async def ")):
        return f"{start}\n{inside}\n{indent}{end}"
    lines = "".join(f"{indent}    {argument},\n" for argument in arguments)
    return f"{start}\n{lines}{indent}{end}"


def imports(module: str, names: Sequence[str]) -> str:
    """Return a sorted import statement."""
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line + "\n"
    return f"from {module} import (\n{''.join(f'    {name},\n' for name in names)})\n"


def model(name: str, fields: Sequence[str], *, closed: bool = False) -> str:
    """Return the class of a model; a closed one rejects fields that it does not have."""
    parts = ['    model_config = ConfigDict(extra="forbid")\n'] if closed else []
    if fields:
        parts.append("".join(f"    {field}\n" for field in fields))
    return f"class {name}(Public):\n" + "\n".join(parts)
