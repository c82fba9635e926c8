"""The times that a new checkout starts with: without them the longest files would begin last."""

from __future__ import annotations

import json

from tests.plugins.times import COMMITTED, ROOT

#: Files may come and go; that many may be unknown before the list has to be renewed.
MAX_UNKNOWN = 0.1


def test_nearly_every_test_file_has_a_time() -> None:
    times = json.loads(COMMITTED.read_text())
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    unknown = [name for name in files if name not in times]
    assert len(unknown) <= MAX_UNKNOWN * len(files), "copy .local/test-times.json over it after a whole run"
