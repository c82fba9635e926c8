"""What people type in, and what they read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import typer

from queued_jobs.cli.values import brief, exact, parse_duration, parse_id, parse_moment
from queued_jobs.redact import redact_json


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 24h ", timedelta(days=1)),
        ("7d", timedelta(days=7)),
    ],
)
def test_lengths_of_time(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5h", "1w", "9999999d"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 24h"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T18:00", datetime(2026, 1, 31, 18, tzinfo=UTC)),
        ("2026-01-31T18:00+02:00", datetime(2026, 1, 31, 16, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_moment(text) == moment


def test_an_age_is_a_moment() -> None:
    before = datetime.now(UTC)
    assert before - timedelta(hours=2) <= parse_moment("2h") <= datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize("text", ["yesterday", "31.1.2026", "2026-13-01", "999999d"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_moment(text)


def test_an_id_is_taken_whole() -> None:
    text = "01a21004-62ed-76fc-9beb-718065f5faa1"
    assert str(parse_id(f" {text} ")) == text
    with pytest.raises(typer.BadParameter, match="copy all of it"):
        parse_id("01a21004")
    assert parse_id("42", int) == 42
    for wrong in ("-1", "0", text, str(2**63)):
        with pytest.raises(typer.BadParameter):
            parse_id(wrong, int)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (None, "-"),
        (timedelta(seconds=-1), "0 ms"),  # clocks differ
        (timedelta(milliseconds=42), "42 ms"),
        (timedelta(milliseconds=999.9), "1.0 s"),
        (timedelta(seconds=59.96), "1m00s"),
        (timedelta(minutes=5, seconds=9.6), "5m10s"),
        (timedelta(hours=3, minutes=5), "3h05m"),
        (timedelta(days=12), "12d"),
        (timedelta(days=9_999), "9999d"),
    ],
)
def test_durations_are_short(duration: timedelta | None, text: str) -> None:
    assert brief(duration) == text
    assert len(text) <= 6


def test_moments_are_printed_in_utc() -> None:
    assert exact(datetime.fromisoformat("2026-01-31T18:00:01+02:00")) == "2026-01-31 16:00:01 UTC"
    assert exact(None) == "-"


def test_no_secret_of_a_request_is_printed() -> None:
    stored = {
        "password": "hunter2",
        "connection": "AccountName=a;AccountKey=aGVsbG8=;",
        "links": ["https://a.example/b?sig=abc%3D&x=1"],
        "nested": {"apiKey": 12345, "name": "Ada", "tokens": 3, "none": None},
    }
    shown = redact_json(stored)
    for secret in ("hunter2", "aGVsbG8", "abc%3D", "12345"):
        assert secret not in str(shown)
    assert shown["nested"]["name"] == "Ada"
    assert shown["nested"]["none"] is None
