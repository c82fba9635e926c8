"""The product as most tests run it: the whole system, with the kinds of jobs of the test app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.local_stack.stack import Stack, StackOptions
from tools.local_stack.state import State, temporary_folder
from tools.test_app.folder import make_app


@contextmanager
def running_product(
    make: type[Stack] = Stack,
    *,
    app: Path | None = None,
    durable: bool = False,
    database_url: str | None = None,
) -> Iterator[Stack]:
    """Run a separate system, whose parts can be stopped, killed and started again; without `app`, the test app."""
    with temporary_folder() as folder:
        app = app or make_app(folder / "app")
        stack = make(State(folder), StackOptions(durable=durable, app=app, database_url=database_url))
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
            stack.delete_data()
