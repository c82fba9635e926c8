"""Removes secrets and characters that cannot be stored from texts that are stored, shown or logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

logger = logging.getLogger(__name__)

_HIDDEN = "***"
#: A regular expression, for Python and Postgres (both ignoring case), that finds something in every text of which a
#: part is masked. Python's own `i`, `s` and `k` are more letters than those of ASCII.
SIGNS_OF_SECRETS = (
    "[s\u017f][i\u0130\u0131]g|[k\u212a]ey|pa[s\u017f][s\u017f]|pwd|[s\u017f]ecret|to[k\u212a]en|bearer|"
    "ba[s\u017f][i\u0130\u0131]c|eyj|://"
)
#: Characters examined beyond the part that is kept, so that the name of a credential is complete.
_MARGIN = 1_024
#: Maximum length of a credential's name, and minimum length of a credential with its name.
_MAX_NAME, _MIN_SECRET = 64, 5
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _credentials(*, cut: bool) -> re.Pattern[str]:
    """Compile a pattern whose first group is the visible part of a credential; with `cut`, the text may end within one.

    Linear time: repetitions are possessive, and the start of a match is never part of the text scanned before it.
    Names are grouped by first letter, to skip other characters in one step. What is masked stays the same if it is
    masked again: a value includes what directly follows its quotes, except closing characters up to the next delimiter.
    """
    at, rest = (r"(?:@|\Z)", r"[\s\S]*+") if cut else ("@", r"[^\n]*+")
    plain = r"""[^\s"'&;,<>]"""
    closing = rf"(?: [)\]}}:.!?\u2026]*+ (?! {plain} ) )"
    tail = rf"(?: (?= {closing} ) | {plain}*+ )"
    value = rf"""
        (?: (?: "[^"\\]*+ (?: \\[\s\S] [^"\\]*+ )*+" )++ (?: " {rest} | {tail} )
          | (?: '[^'\\]*+ (?: \\[\s\S] [^'\\]*+ )*+' )++ (?: ' {rest} | {tail} )
          | \\++ (?: "[^"]*+" | '[^']*+' ) {tail}
          | \\*+ ["'] {rest}
          | \*{{1,3}}+ (?= {closing} )
          | {plain}++ )
    """
    assigned = r"""\\*+ ["']? \s*+ [=:] \s*+"""
    # "token: Bearer ..." and "Bearer token: ...": the value of the one is the name of the next
    scheme = _ends("bearer", "basic", "sharedkey")
    names = ("sig", "signature", "key", "pwd", "passwd", "password", "passphrase", "secret", "token")
    return re.compile(
        rf"""(?x)
        (   (?: [sS] (?i: (?<![^\W_]s) ig | ecret | hared[_-]?access[_-]?(?:key|signature) )
              | [aA] (?i: (?:ccount|ccess|pi) [_-]?key )
              | [pP] (?i: ass(?:word|wd|phrase) | wd | rivate[_-]?key )
              | [tT] (?i: oken )
              | [fF] (?i: unctions[_-]?key ) ) {assigned}
          | (?: [bB] (?i: (?<!\w.) (?: earer | asic ) ) | [sS] (?i: (?<!\w.) haredkey ) ) \s++
          | (?<![^\W_]) (?= [eE][yY][jJ] [\w-]{{8}} )
          | ( :// [^/\s:@]*+ : ) (?= [^/\s@]*+ {at} )
        )
        (?(2) [^/\s@]*+ (?: @ (?= [^\s"'<>@]*+ {at} ) [^\s"'<>@]*+ )*+
            | {value} (?: (?: {scheme} \s++
                            | {_ends(*names)} {assigned}
                            | {_ends(*(f"{name}[=:]" for name in names))} \s++ ) {value} )*+ )
        """
    )


def _ends(*words: str) -> str:
    return f"(?i: {' | '.join(f'(?<={word})' for word in words)} )"


_WHOLE, _CUT = _credentials(cut=False), _credentials(cut=True)


def mask_secrets(text: str) -> str:
    """Return the text with everything that looks like a credential replaced by `***`, in linear time."""
    return _hidden(_WHOLE, text)


def to_storable_text(text: str, limit: int) -> str:
    """Return text that is safe for Postgres and terminals, at most `limit` characters long, with credentials masked.

    Control and bidirectional-override characters become U+FFFD, lone surrogates `?`; line breaks and tabs stay. A long
    text is cut first, so it is not slower; a credential at the cut is masked too.
    """
    most = limit + _MARGIN
    clean = text[: 2 * most].replace("\r\n", "\n")
    cut = len(text) > 2 * most or len(clean) > most
    clean = _CONTROL.sub("\ufffd", clean[:most]).encode("utf-8", "replace").decode("utf-8")
    clean = _hidden(_CUT if cut else _WHOLE, clean)
    return clean if len(clean) <= limit and not cut else clean[: limit - 1] + "\u2026"


def mask_beginning(text: str, limit: int) -> str:
    """Return the first `limit` characters, with credentials masked, also one that the cut has parted."""
    beginning = text[: limit + _MARGIN]
    return _hidden(_CUT if len(text) > len(beginning) else _WHOLE, beginning)[:limit]


def text_of(exc: BaseException) -> str:
    """Return the text of an exception, of any length, or its class name if the text is empty or cannot be made."""
    try:
        text = str(exc) or type(exc).__name__
        if isinstance(exc, BaseExceptionGroup):
            # its own text only says how many errors it has
            return "\n".join([text, *(f"{type(one).__name__}: {text_of(one)}" for one in islice(errors_in(exc), 5))])
        return text
    except Exception:
        # the attempt has already failed; an error in __str__ must not hide that
        logger.exception("cannot convert a %s to text", type(exc).__name__)
        return type(exc).__name__


def errors_in[ErrorT: BaseException](group: BaseExceptionGroup[ErrorT]) -> Iterator[ErrorT]:
    """Yield the errors of a group, at any depth, in their order. One that occurs often is yielded as often."""
    waiting: list[ErrorT | BaseExceptionGroup[ErrorT]] = [group]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseExceptionGroup):
            waiting += reversed(one.exceptions)
        else:
            yield one


def redact_json(value: Any, *, hidden: str = _HIDDEN) -> Any:
    """Return a copy of a JSON value with `hidden` in place of credentials, recognised by key or content."""
    if isinstance(value, str):
        return _hidden(_WHOLE, value, hidden) if len(value) >= _MIN_SECRET else value
    if isinstance(value, (list, tuple)):
        return [redact_json(item, hidden=hidden) for item in value]
    if isinstance(value, Mapping):
        return {
            _hidden(_WHOLE, key, hidden): hidden if _is_secret(key, item) else redact_json(item, hidden=hidden)
            for key, item in value.items()
        }
    return value


def _hidden(credentials: re.Pattern[str], text: str, hidden: str = _HIDDEN) -> str:
    # split, since a callback per match would take longer than finding thousands of matches
    parts = credentials.split(text)
    parts[2::3] = [hidden] * (len(parts) // 3)
    return "".join(parts)


def _is_secret(name: str, value: object) -> bool:
    return value not in (None, "") and _WHOLE.search(f"{name[-_MAX_NAME:]}=x") is not None
