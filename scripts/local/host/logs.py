"""The log of the host: one line per event on stderr, with the invocation id in all that an invocation emits."""

from __future__ import annotations

import contextvars
import logging
import sys

#: The id of the invocation that runs in this context; None outside of one.
current_invocation: contextvars.ContextVar[str | None] = contextvars.ContextVar("current_invocation", default=None)

_QUIET = ("aiohttp", "azure", "httpcore", "httpx", "msal", "urllib3", "uvicorn")


class InvocationFilter(logging.Filter):
    """Gives each record `invocation`: the current id in brackets with a space behind it, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attribute; keeps every record."""
        invocation_id = current_invocation.get()
        record.invocation = f"[{invocation_id}] " if invocation_id else ""
        return True


class LineFormatter(logging.Formatter):
    """`HH:MM:SS level logger [invocation id] message`; a traceback follows its line, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)s %(name)s %(invocation)s%(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name is logging's)
        """Render the first line; line breaks in the message are escaped, so that nobody can forge a line."""
        record.level = record.levelname.lower()
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 (the name is logging's)
        """Render the traceback indented, so that each event still begins at the start of a line."""
        return "\n".join(f"    {line}" for line in super().formatException(ei).splitlines())


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
