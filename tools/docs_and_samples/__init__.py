"""Generators of documentation, screenshots, sample jobs and vendored files."""

from __future__ import annotations
