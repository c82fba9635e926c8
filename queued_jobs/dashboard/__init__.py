"""The reads and bulk actions behind an admin's dashboard."""

from __future__ import annotations
