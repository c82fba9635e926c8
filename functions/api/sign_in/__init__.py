"""Who is calling: invite links, OpenID Connect, and the session that either opens."""

from __future__ import annotations
