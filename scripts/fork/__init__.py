"""Steps of the commands that change a fork: `scripts/new-job` and `scripts/rename`."""

from __future__ import annotations
