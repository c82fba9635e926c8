"""The log of scripts/dev has what jobs do and what goes wrong, and no other line of the host."""

from __future__ import annotations

import pytest

from tools.local_stack.quiet import is_routine

JOB = "job 01936c2e-8c1f-7d3a-9a51-0242ac120002 (packer) attempt 1:"
INVOCATION = "[6f1c2f5e-3f0d-4f43-8a57-1f3f0a6f3b1c]"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12:00:00 info host.invoke Executed 'Functions.api' (GET /js/feed/feed.js) in 2 ms, status 200", True),
        ("12:00:00 info host.invoke Executed 'Functions.api' (GET /api/jobs) in 2 ms, status 304", True),
        (f"12:00:00 info host.invoke {INVOCATION} Executing 'Functions.packer' (message 1)", True),
        (f"12:00:00 info host.invoke {INVOCATION} Executed 'Functions.packer' (message 1) in 20 ms", True),
        (f"12:00:00 info queued_jobs.packer {INVOCATION} {JOB} executing", True),
        ("12:00:00 info host.invoke Executed 'Functions.api' (GET /api/jobs/1) in 2 ms, status 404", False),
        ("12:00:00 info host.invoke Executed 'Functions.api' (POST /api/jobs/x) in 2 ms, status 500", False),
        ("12:00:00 error host.invoke Failed 'Functions.packer' (message 1) after 20 ms: no", False),
        (f"12:00:00 info queued_jobs.packer {INVOCATION} {JOB} succeeded in 0.21 s", False),
        (f"12:00:00 warning queued_jobs.packer {INVOCATION} {JOB} failing: OSError: executing", False),
        ("    Traceback (most recent call last):", False),
        ("printed by a body: info host.invoke Executed 'Functions.api'", False),
    ],
)
def test_which_lines_are_left_out(line: str, expected: bool) -> None:
    assert is_routine(line) is expected
