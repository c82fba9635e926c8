"""The admin's part of the API: search, statistics, failures, bulk actions and export."""

from __future__ import annotations
