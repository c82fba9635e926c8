"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def database_time() -> datetime:
    """Return the current time: the default in place of the database's clock."""
    return datetime.now(UTC)


class FrozenClock:
    """A clock for `InMemoryRepository(clock=FrozenClock())`, in place of the database's clock."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Advance the clock. Raises `ValueError` for a negative step: a database's clock never goes back."""
        if by < timedelta():
            raise ValueError(f"The clock cannot go back by {-by}; advance it by a positive time.")
        self._now += by
