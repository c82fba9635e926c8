"""The HTTP API: one FastAPI application over the services."""
