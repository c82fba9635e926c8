"""What every route shares: bodies, problems, headers, cursors, masking and the OpenAPI document."""

from __future__ import annotations
