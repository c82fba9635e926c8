"""Shorter times than in production, so that a run takes minutes; each is passed by a name in the environment."""

from __future__ import annotations

import os
from datetime import timedelta

#: How long a silent worker keeps a job.
LEASE = timedelta(seconds=5)
#: How long a received message stays hidden after its host was killed.
VISIBILITY = timedelta(seconds=12)
#: After this time a message that was not claimed is sent again.
STALE = timedelta(seconds=12)
#: After this time a message whose delivery failed is delivered again.
REDELIVERY = timedelta(seconds=5)
#: Pause between two sweeps.
SWEEP = timedelta(seconds=3)
#: How long a stopped process may drain before it is killed.
DRAIN = timedelta(seconds=2)
#: How long the run waits for its own parts.
PATIENCE = timedelta(seconds=30)
#: Recovery of a job whose worker was killed: the goal for the 99th percentile.
RECOVERY_GOAL = LEASE + SWEEP + timedelta(seconds=5)

#: The file to which bodies append what they do. No fault touches it.
EXECUTIONS = "CHAOS_EXECUTIONS"


def executions_file() -> str:
    return os.environ[EXECUTIONS]
