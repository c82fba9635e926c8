"""The admin half of the API: search, figures, failures, bulk actions and export, for admins alone."""

from __future__ import annotations
