"""The times that a new checkout starts with: without them the longest files would begin last."""

from __future__ import annotations

import json

from tests.plugins.times import COMMITTED, ROOT


def test_every_file_with_a_time_is_there() -> None:
    times = json.loads(COMMITTED.read_text())
    assert len(times) > 20, "copy .local/test-times.json over it after a whole run"
    assert [name for name in times if not (ROOT / name).is_file()] == [], "a file was renamed: rename it here too"
