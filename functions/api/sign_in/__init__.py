"""Sign-in: invite links, OpenID Connect, and sessions."""

from __future__ import annotations
