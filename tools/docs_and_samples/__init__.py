"""Generators of documentation, screenshots and vendored files."""

from __future__ import annotations
