"""Views of jobs and the ways in which they are pushed: Azure SignalR Service and webhooks."""

from __future__ import annotations
