"""The Pulumi program: the application's resources in Azure, and its code."""

from __future__ import annotations
