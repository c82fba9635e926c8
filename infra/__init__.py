"""The Pulumi program: everything that the application needs in Azure, and its code."""

from __future__ import annotations
