"""Shared by all routes: bodies, problems, headers, cursors, masking and the OpenAPI document."""

from __future__ import annotations
