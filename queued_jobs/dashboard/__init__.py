"""The queries and bulk actions of the admin's dashboard."""

from __future__ import annotations
