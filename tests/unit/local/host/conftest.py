from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.hosted_app import HostedApp, host_app

MakeApp = Callable[[str], Awaitable[HostedApp]]


@pytest.fixture
def make_app(tmp_path: Path) -> MakeApp:
    """Writes an app with this source, after the imports it needs, and has it indexed."""
    return lambda source: host_app(tmp_path, source)
