"""A local emulator of the Azure Functions host around Microsoft's own Python worker, for one Python v2 function app."""

from __future__ import annotations
