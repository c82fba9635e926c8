"""`python -m queued_jobs.cli` is the same as `queued-jobs`."""

from __future__ import annotations

import sys

from queued_jobs.cli import main

sys.exit(main())
