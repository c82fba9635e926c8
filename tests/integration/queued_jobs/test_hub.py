"""A hub that takes pushes and never answers."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from queued_jobs.push import signalr
from queued_jobs.push.signalr import ConnectionString, PushFailed, SignalRNotifier
from queued_jobs.registry import JobRegistry
from tests.integration.queued_jobs.conftest import Demo, Shop


async def test_a_hub_that_hangs_costs_three_pushes_however_many_owners_there_are(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signalr, "_PUSH_TIMEOUT", 0.5)
    owners: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        line = await reader.readline()
        if b"/users/" in line:
            owners.append(line.split(b"/users/")[1].split(b"/")[0])
        while await reader.read(65536):
            continue  # and never answer

    job = (await shop.queue()).job
    jobs = [dataclasses.replace(job, user_id=f"user-{number}") for number in range(200)]
    async with await asyncio.start_server(swallow, "127.0.0.1", 0) as hole:
        port = hole.sockets[0].getsockname()[1]
        connection = ConnectionString(endpoint=f"http://127.0.0.1:{port}", access_key="k" * 44)
        notifier = SignalRNotifier(connection, JobRegistry([Demo]))
        with pytest.raises(PushFailed):
            await notifier.job_changed(*jobs)
        await notifier.close()
        for writer in writers:
            writer.close()
    assert owners == [b"user-0", b"user-1", b"user-2"], "half a second for each owner would be a hundred"
