"""A local stand-in for the Azure Functions host: runs one Python v2 function app, as strictly as the real one does."""

from __future__ import annotations
