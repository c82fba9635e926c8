"""Azure from a terminal: prepare a subscription, deploy a stack."""

from __future__ import annotations
