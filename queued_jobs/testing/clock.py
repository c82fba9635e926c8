"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def database_time() -> datetime:
    """What stands for the database's clock as long as a test does not bring its own."""
    return datetime.now(UTC)


class FrozenClock:
    """Stands for the database's clock: `InMemoryRepository(clock=FrozenClock())`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        """Let this much time pass. Raises `ValueError` for a step back: a database's clock takes none."""
        if by < timedelta():
            raise ValueError(f"Time does not go back by {-by}.")
        self._now += by
