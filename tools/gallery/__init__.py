"""The gallery: every state of the bell and of the dashboard, with fixed data instead of a server."""
