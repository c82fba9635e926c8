"""Secrets as a deployment generates them, the same in each run."""

from __future__ import annotations

INVITE = "Zq3vX8rTn0LwKc5YhB2mJ7sPfD4gUe9aVtRi6oNxMkE"
ADMIN_INVITE = "uW7bQ1yHs9GzFj4CpN0xR6kLdT3vMa8eIoXf5SnJqYc"
SESSION = "e5KoM2tVx9BnQw7ZcR0jL4gHyP6sDuF8aTi3XfJmNrW"
SETTINGS = {"INVITE_SECRET": INVITE, "ADMIN_INVITE_SECRET": ADMIN_INVITE, "SESSION_SECRET": SESSION}
