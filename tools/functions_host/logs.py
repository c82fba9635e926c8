"""The log of the host: one line per event on stderr, with the invocation id in everything that an invocation logs."""

from __future__ import annotations

import logging
import re
import sys

from azure_functions_runtime import invocation_id_cv

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_QUIET = ("aiohttp", "azure", "httpcore", "httpx", "msal", "urllib3", "uvicorn")


class InvocationFilter(logging.Filter):
    """Gives each record `invocation`: the current id in brackets followed by a space, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attribute; keeps every record."""
        invocation_id = invocation_id_cv.get()
        record.invocation = f"[{invocation_id}] " if invocation_id else ""
        return True


class LineFormatter(logging.Formatter):
    """`HH:MM:SS level logger [invocation id] message`; a traceback follows its line, indented.

    The traceback is that of the record's exception, or the text `stack_trace` that the worker has sent.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(name)s %(invocation)s%(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is logging's)
        """Render the first line; control characters are escaped, so that lines cannot be forged or coloured."""
        record.level = record.levelname.lower()
        record.message = _CONTROL.sub(_escaped, record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        """Render the record, with the worker's traceback if there is one."""
        stack_trace = getattr(record, "stack_trace", "")
        return "\n".join([super().format(record), *([_indented(stack_trace)] if stack_trace else [])])

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 (the name is logging's)
        """Render the traceback indented, so that each event still begins at the start of a line."""
        return _indented(super().formatException(ei))


def configure_logging() -> None:
    """Send all records of INFO and above to stderr, and only warnings of the chatty client libraries.

    The handler has the level too: at DEBUG the ASGI bridge of azure-functions logs whole responses, tokens included.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.INFO)
    handler.setFormatter(LineFormatter())
    handler.addFilter(InvocationFilter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _indented(trace: str) -> str:
    return "\n".join(f"    {line}" for line in trace.splitlines())


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
