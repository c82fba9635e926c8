"""The small rules: delays, masks, reports, connection strings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from queued_jobs import RetryLater, RetryPolicy
from queued_jobs._reports import Report
from queued_jobs.context import JobContext
from queued_jobs.errors import JobCancelled, JobsError, LeaseLost
from queued_jobs.push.signalr import ConnectionString
from tests.unit.queued_jobs.conftest import World


class TestDelay:
    @pytest.mark.parametrize(("attempt", "seconds"), [(1, 5), (2, 10), (5, 80), (10, 2560), (11, 3600), (1000, 3600)])
    def test_it_doubles_to_the_cap_with_jitter(self, attempt: int, seconds: int) -> None:
        delays = {RetryPolicy().delay(attempt) for _ in range(200)}
        assert len(delays) > 100
        assert min(delays) >= timedelta(seconds=seconds * 0.5)
        assert max(delays) <= timedelta(seconds=seconds * 1.5)

    @pytest.mark.parametrize(
        "values",
        [
            {"max_attempts": 0},
            {"max_attempts": 51},
            {"base": timedelta(seconds=-1)},
            {"base": timedelta(hours=2)},
            {"cap": timedelta.max},
        ],
    )
    def test_a_policy_that_cannot_work_is_refused(self, values: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"max_attempts|base"):
            RetryPolicy(**values)

    @pytest.mark.parametrize("after", [timedelta.max, timedelta.min])
    def test_a_delay_beyond_all_bounds_is_cut(self, after: timedelta) -> None:
        delay = RetryPolicy().retry_in(RetryLater(after=after), 1)
        assert delay in (timedelta(), timedelta(days=365))

    def test_a_kind_may_name_permanent_errors(self) -> None:
        policy = RetryPolicy(permanent=(KeyError,))
        assert policy.retry_in(KeyError("x"), 1) is None
        assert policy.retry_in(ValueError("x"), 1) is not None


class TestContext:
    @pytest.fixture
    async def ctx(self, world: World) -> JobContext[None]:
        return JobContext(await world.queued(), world.backend)

    async def test_only_a_noticeable_difference_is_written(self, ctx: JobContext[None]) -> None:
        assert ctx.reports.unwritten() is None
        ctx.report(0.005)
        assert ctx.reports.unwritten() is None
        ctx.report(0.5)
        assert ctx.reports.unwritten() == Report(0.5, None)
        ctx.reports.wrote(Report(0.5, None))
        ctx.report(0.504)
        assert ctx.reports.unwritten() is None
        ctx.report(message="almost")
        assert ctx.reports.unwritten() == Report(0.504, "almost")

    @pytest.mark.parametrize(("given", "kept"), [(-1, 0.0), (7, 1.0), (float("nan"), 0.4), (float("inf"), 0.4)])
    async def test_absurd_progress_does_no_harm(self, ctx: JobContext[None], given: float, kept: float) -> None:
        ctx.report(0.4)
        ctx.reports.wrote(Report(0.2, None))
        ctx.report(given, "m")
        assert ctx.reports.unwritten() == Report(kept, "m")

    async def test_a_lost_lease_outdoes_a_cancel(self, ctx: JobContext[None]) -> None:
        reasons: list[JobsError] = [JobCancelled(), LeaseLost(), JobCancelled()]
        for reason in reasons:
            ctx.stop(reason)
        with pytest.raises(LeaseLost):
            ctx.checkpoint()


class TestConnectionString:
    def test_the_port_counts(self) -> None:
        parsed = ConnectionString.parse("Endpoint=http://localhost;Port=8888;AccessKey=abc=;Version=1.0;")
        assert (parsed.endpoint, parsed.access_key) == ("http://localhost:8888", "abc=")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Endpoint=http://x",
            "AccessKey=SECRET",
            "Endpoint=ftp://x;AccessKey=SECRET",
            "Endpoint=https://[;AccessKey=SECRET",
            "Endpoint=https://u:p@x;AccessKey=SECRET",
            "Endpoint=https://x;AccessKey=SECRET;Port=x",
        ],
    )
    def test_what_is_missing_or_wrong_is_named_and_the_key_is_not(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"Endpoint|AccessKey|Port") as caught:
            ConnectionString.parse(text)
        assert "SECRET" not in str(caught.value)


def test_the_package_itself_has_only_the_names_that_nearly_everybody_needs() -> None:
    import queued_jobs

    assert all(hasattr(queued_jobs, name) for name in queued_jobs.__all__)
    assert len(queued_jobs.__all__) <= 15
