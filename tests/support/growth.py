"""How the time of a function grows with its text, in processor time of this thread: other work does not count."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, AnyStr, TypeGuard

ROOT = Path(__file__).resolve().parents[2]
_LENGTH = 8 * 1024
#: A text that is read once takes less, on any machine; what is read again for each of its parts takes more.
_QUICK = 0.003
_ATTACKS = 300
_FUNCTIONS = ("compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn")


def repeated[AnyStr: (bytes, str)](unit: AnyStr, length: int) -> AnyStr:
    return (unit * (length // len(unit) + 1))[:length]


def attack[AnyStr: (bytes, str)](beginning: AnyStr, unit: AnyStr, end: AnyStr, length: int) -> AnyStr:
    return beginning + repeated(unit, length) + end


def grows_too_fast(call: Callable[[Any], object], make: Callable[[int], Any], length: int = _LENGTH) -> str:
    """Say how the time grows if twice the text takes more than three times as long; "" if not."""
    short = seconds(call, make(length), 1)
    if short < _QUICK:
        return ""
    # the longer the text, and the more often it is read, the less weighs what does not depend on it
    for factor, runs in ((1, 1), (2, 3), (4, 3)):
        short, long = (seconds(call, make(length * times), runs) for times in (factor, 2 * factor))
        if long <= 3 * short:
            return ""
    return f"{short * 1000:.0f} ms, twice as much {long * 1000:.0f} ms"


def seconds(call: Callable[[Any], object], argument: Any, runs: int) -> float:
    """Return the processor time of this thread for the quickest of some calls."""
    best = float("inf")
    for _ in range(runs):
        started = time.thread_time()
        call(argument)
        best = min(best, time.thread_time() - started)
    return best


@dataclass(frozen=True)
class Expression:
    """A regular expression of the product, and the ways in which it is used."""

    where: str
    pattern: re.Pattern[Any]
    methods: tuple[str, ...]


def expressions(folders: Sequence[str]) -> tuple[list[Expression], set[str]]:
    """Return every regular expression that these folders' sources write, and the files that put one together."""
    found: list[Expression] = []
    dynamic: set[str] = set()
    for file in sources(folders):
        tree = ast.parse((ROOT / file).read_text())
        names = {
            node.value: node.targets[0] if isinstance(node, ast.Assign) else node.target
            for node in ast.walk(tree)
            if isinstance(node, (ast.Assign, ast.AnnAssign))
        }
        for call in ast.walk(tree):
            if not _is_of_re(call):
                continue
            try:
                pattern = eval(ast.unparse(call.args[0]), {})  # noqa: S307 (our own sources; names are refused)
                flags = eval(ast.unparse(_flags(call)), {"re": re})  # noqa: S307
            except NameError:
                dynamic.add(file)
                continue
            methods: tuple[str, ...] = (ast.unparse(call.func).removeprefix("re."),)
            if methods == ("compile",):
                target = names.get(call)
                methods = tuple(_methods(tree, target.id)) if isinstance(target, ast.Name) else ()
            found.append(
                Expression(f"{file}:{call.lineno}", re.compile(pattern, flags), methods or ("search", "fullmatch"))
            )
    return found, dynamic


def sources(folders: Sequence[str]) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return [file for file in listed.stdout.splitlines() if file.endswith(".py")]


def _is_of_re(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _FUNCTIONS
        and len(node.args) > 0
    )


def _flags(call: ast.Call) -> ast.expr:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
    at = {"re.compile": 1, "re.sub": 4, "re.subn": 4, "re.split": 3}.get(ast.unparse(call.func), 2)
    return (named or call.args[at : at + 1] or [ast.Constant(0)])[0]


def _methods(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield the methods by which a module uses a compiled expression; those it is passed to are not known."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _FUNCTIONS and ast.unparse(node.value) == name:
            yield node.attr


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield beginning, unit and end of texts that this expression may read again and again.

    Units are what it may take for the beginning of a match: about half of them begin as a match does, and end early.
    """
    given = pattern.pattern
    dice = random.Random(1)
    parsed = parser.parse(given, 0 if isinstance(given, bytes) else pattern.flags)
    made = set()
    for _ in range(_ATTACKS):
        pieces = _pieces(parsed, dice)
        begun = "".join(pieces[: dice.randint(1, len(pieces))]) if pieces else "a"
        mixed = "".join(dice.choices(pieces or ["a"], k=dice.randint(1, 3)))
        beginning = "".join(_pieces(parsed, dice)[: dice.randint(0, 4)])
        text = (dice.choice(["", beginning]), dice.choice([begun, mixed]), dice.choice(["", "!", "\n"]))
        if text in made:
            continue
        made.add(text)
        yield tuple(part.encode() for part in text) if isinstance(given, bytes) else text  # type: ignore[misc]


def _pieces(parsed: Any, dice: random.Random) -> list[str]:
    """Return a text that about matches the expression, in pieces; what is looked for ahead stands in it too."""
    found: list[str] = []
    for op, value in parsed:
        if op is ops.LITERAL:
            found.append(chr(value))
        elif op is ops.IN:
            found.append(_sample(value, dice))
        elif op in (ops.ANY, ops.NOT_LITERAL):
            found.append("x")
        else:
            for part in _parts(op, value, dice):
                found += _pieces(part, dice)
    return found


def _parts(op: Any, value: Any, dice: random.Random) -> list[Any]:
    """Return the expressions within this one, as often as they have to match."""
    if op is ops.BRANCH:
        return [dice.choice(value[1])]
    if op is ops.GROUPREF_EXISTS:
        return [dice.choice(value[1:]) or ()]
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        least, most, part = value
        return [part] * min(least + dice.randint(0, 1), most, 8)
    if op is ops.ATOMIC_GROUP:
        return [value]
    return [value[-1]] if op in (ops.SUBPATTERN, ops.ASSERT) else []


def _sample(items: list[tuple[Any, Any]], dice: random.Random) -> str:
    op, value = items[0]
    if op is ops.NEGATE:
        refused = {chr(value) for op, value in items if op is ops.LITERAL}
        return dice.choice([character for character in "xX-1.@:=/" if character not in refused])
    op, value = dice.choice(items)
    if op is ops.CATEGORY:
        return {"DIGIT": "1", "SPACE": " ", "WORD": "a"}[str(value).rpartition("_")[2]]
    return chr(value if op is ops.LITERAL else value[0])
