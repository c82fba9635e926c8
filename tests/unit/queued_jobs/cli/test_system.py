"""Which account the command opens."""

from __future__ import annotations

import pytest

from queued_jobs.cli.options import Account
from queued_jobs.cli.problems import WrongUsage
from queued_jobs.cli.system import connect_queues


async def test_an_address_is_opened_by_whoever_is_signed_in() -> None:
    async with connect_queues(Account(queues="https://shop.queue.core.windows.net")) as queues:
        assert queues["demo"].url == "https://shop.queue.core.windows.net/demo"


async def test_the_emulator_has_a_name_of_its_own() -> None:
    async with connect_queues(Account(queues="UseDevelopmentStorage=true")) as queues:
        assert queues["demo"].url == "http://127.0.0.1:10001/devstoreaccount1/demo"


@pytest.mark.parametrize("text", ["", "AccountName=shop", "AccountKey=hunter2", "nonsense"])
async def test_what_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage) as caught:
        async with connect_queues(Account(queues=text)):
            raise AssertionError
    assert "hunter2" not in str(caught.value)
