"""The queue trigger against a real queue service: what the real host does with each message, case by case."""

from __future__ import annotations

import asyncio
import base64
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueMessage as StoredMessage
from azure.storage.queue.aio import QueueServiceClient

from tests.integration.local.host.conftest import Listen, Pauses
from tests.integration.local.host.harness import BrokenService, Queue, queue_name, wait_until
from tools.functions_host import queues
from tools.functions_host.queues import MessageLease
from tools.functions_host.storage import QueueStorage
from tools.functions_host.waiting import is_set_within
from tools.local_stack.azurite import AzuriteServer


async def succeed(message: QueueMessage) -> None:
    pass


async def fail(message: QueueMessage) -> None:
    raise RuntimeError("on purpose")


async def test_a_message_reaches_the_function_with_its_metadata_and_is_deleted(queue: Queue, listen: Listen) -> None:
    await queue.send('{"n": 1}')
    listening = listen(queue, succeed)

    async def deleted() -> bool:
        return await queue.count() == 0

    await wait_until(deleted, "the message is deleted")
    (message,) = listening.calls
    assert message.get_json() == {"n": 1}
    assert message.dequeue_count == 1
    assert message.id
    assert message.pop_receipt
    assert abs(message.insertion_time - datetime.now(UTC)) < timedelta(minutes=1)
    assert message.time_next_visible > datetime.now(UTC)
    assert message.expiration_time > datetime.now(UTC)


@pytest.mark.parametrize(("batch_size", "threshold"), [(4, 2), (1, 0), (2, 0)])
async def test_batch_and_threshold_bound_what_runs_at_once(
    queue: Queue, listen: Listen, batch_size: int, threshold: int
) -> None:
    async def body(message: QueueMessage) -> None:
        await one_may_end.acquire()

    most, count = batch_size + threshold, 2 * (batch_size + threshold) + 1
    one_may_end = asyncio.Semaphore(0)
    for number in range(count):
        await queue.send(str(number))
    listening = listen(queue, body, batch_size=batch_size, new_batch_threshold=threshold)
    # the second batch comes when the first is down to the threshold
    await wait_until(lambda: listening.active == batch_size, "the first batch runs")
    for _ in range(batch_size - threshold):
        one_may_end.release()
    await wait_until(lambda: listening.active == most, "a further batch runs beside the rest of the first")
    for _ in range(count):
        one_may_end.release()
    await wait_until(lambda: len(listening.calls) == count and listening.active == 0, "all messages have run")
    assert listening.max_active == most
    assert sorted(map(int, listening.texts)) == list(range(count))


async def test_a_failure_is_retried_at_once_and_the_fifth_goes_to_poison(
    queue: Queue, poison: Queue, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    await queue.send("bad")
    listening = listen(queue, fail, lease=3_600)  # nor after the time for which a message is hidden
    await wait_until(poison.exists, "the poison queue is created")

    async def moved() -> bool:
        return await queue.count() == 0 and await poison.count() == 1

    await wait_until(moved, "the message is in the poison queue only")
    assert listening.dequeue_counts == [1, 2, 3, 4, 5]
    assert await poison.bodies() == [base64.b64encode(b"bad").decode()]
    assert f"Message has reached MaxDequeueCount of 5. Moving message to queue '{poison.name}'." in caplog.text


async def test_the_last_try_goes_to_poison_without_a_delay(queue: Queue, poison: Queue, listen: Listen) -> None:
    await queue.send("bad")
    listen(queue, fail, max_dequeue_count=1, visibility_timeout=timedelta(hours=1))
    await wait_until(poison.exists, "the poison queue is created")


async def test_the_number_of_tries_is_a_setting(queue: Queue, poison: Queue, listen: Listen) -> None:
    await queue.send("bad")
    listening = listen(queue, fail, max_dequeue_count=2)
    await wait_until(poison.exists, "the poison queue is created")
    assert listening.dequeue_counts == [1, 2]


async def test_the_visibility_timeout_delays_the_next_try(queue: Queue, listen: Listen) -> None:
    await queue.send("bad")
    listening = listen(queue, fail, visibility_timeout=timedelta(seconds=2))
    await wait_until(lambda: len(listening.calls) == 2, "a second try")
    assert listening.times[1] - listening.times[0] > 1  # the service counts in whole seconds


async def test_a_returned_value_is_a_failure(queue: Queue, listen: Listen) -> None:
    async def body(message: QueueMessage) -> str | None:
        return "a value" if message.dequeue_count == 1 else None

    await queue.send("x")
    listening = listen(queue, body)
    await wait_until(lambda: listening.dequeue_counts == [1, 2], "it is tried again")


async def test_a_message_that_was_taken_too_often_goes_to_poison_without_a_call(
    queue: Queue, poison: Queue, listen: Listen
) -> None:
    await queue.send("kills its worker")
    for _ in range(2):  # two hosts have died with it
        taken = await queue.take()
        await queue.client.update_message(taken.id, taken.pop_receipt, visibility_timeout=0)
    listening = listen(queue, succeed, max_dequeue_count=2)
    await wait_until(poison.exists, "the poison queue is created")

    async def moved() -> bool:
        return await queue.count() == 0 and await poison.count() == 1

    await wait_until(moved, "the message is in the poison queue only")
    assert listening.calls == []


@pytest.mark.parametrize("text", ["{'n': 1}", "not base64!", "YWJj=ZA==", "zażółć"])
async def test_what_is_not_base64_goes_to_poison_without_a_call(
    queue: Queue, poison: Queue, listen: Listen, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    await queue.client.send_message(text)
    listening = listen(queue, succeed)
    await wait_until(poison.exists, "the poison queue is created")

    async def moved() -> bool:
        return await queue.count() == 0 and await poison.bodies() == [text]

    await wait_until(moved, "the message is in the poison queue as it was")
    assert listening.calls == []
    assert "never reaches its function: it is not base64" in caplog.text
    assert text not in caplog.text


async def test_without_an_encoding_plain_text_passes(queue: Queue, listen: Listen) -> None:
    await queue.client.send_message("<plain> & simple")
    listening = listen(queue, succeed, base64=False)
    await wait_until(lambda: listening.texts == ["<plain> & simple"], "the text arrives")


async def test_a_long_run_keeps_its_message_and_deletes_it_with_the_newest_receipt(
    queue: Queue, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(message: QueueMessage) -> None:
        await is_set_within(asyncio.Event(), timedelta(seconds=11))  # longer than it is hidden without a renewal

    async def renew_often(event: asyncio.Event, delay: timedelta) -> bool:
        return await is_set_within(event, delay / 10 if delay > timedelta(seconds=1) else delay)

    monkeypatch.setattr(queues, "is_set_within", renew_often)  # so that a slow machine may be late
    await queue.send("long")
    listening = listen(queue, body, lease=10)

    async def deleted() -> bool:
        return await queue.count() == 0

    await wait_until(deleted, "the message is deleted")
    assert listening.dequeue_counts == [1]


async def test_a_failed_renewal_is_repeated_sooner(
    broken_service: BrokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_shortly(event: asyncio.Event, delay: timedelta) -> bool:
        delays.append(delay.total_seconds())
        return await is_set_within(event, delay / 20)

    delays: list[float] = []
    monkeypatch.setattr(queues, "is_set_within", wait_shortly)
    storage = QueueStorage(base64_messages=True)
    connection = storage.connection("QueuesConn")
    message = StoredMessage()
    message.id, message.pop_receipt = "id", "receipt"
    async with MessageLease(connection.queue("q"), message, duration=timedelta(seconds=4), connection=connection):
        await wait_until(lambda: len(broken_service.requests) >= 4, "four tries to renew")
    await storage.close()
    # half of the lease, then half of that and so on, down to a tenth of the lease
    assert delays[:4] == [2, 1, 0.5, 0.4]


async def test_a_message_that_somebody_else_took_over_is_let_go(
    queue: Queue, listen: Listen, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def body(message: QueueMessage) -> None:
        if message.dequeue_count == 1:
            await first_may_end.wait()

    async def renew_when_told(event: asyncio.Event, delay: timedelta) -> bool:
        if delay < timedelta(minutes=1):  # between polls
            return await is_set_within(event, delay)
        await wait_until(lambda: event.is_set() or may_renew.is_set(), "the renewal is due")
        return event.is_set()

    first_may_end, may_renew = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(queues, "is_set_within", renew_when_told)
    await queue.send("x")
    listening = listen(queue, body)
    await wait_until(lambda: len(listening.calls) == 1, "it runs")
    message_id = listening.calls[0].id
    assert message_id
    await queue.client.update_message(message_id, listening.calls[0].pop_receipt, visibility_timeout=0)
    await wait_until(lambda: listening.dequeue_counts == [1, 2], "it runs a second time")
    may_renew.set()
    await wait_until(lambda: "was lost" in caplog.text, "the renewal gives up")
    first_may_end.set()
    await wait_until(lambda: "was received by another host" in caplog.text, "the first run lets it go")
    assert await queue.count() == 0


@pytest.mark.parametrize("suffix", ["-poison", "-with-a-name-too-long-for-the-suffix"])
async def test_a_queue_without_a_poison_queue_keeps_a_failed_message_for_the_lease(
    service: QueueServiceClient, listen: Listen, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    name = queue_name() + suffix
    queue = await Queue(service, name if suffix == "-poison" else name.ljust(57, "x")).create()
    await queue.send("bad")
    listening = listen(queue, fail, lease=1, max_dequeue_count=2)
    await wait_until(lambda: len(listening.calls) == 2, "it is called again")
    hidden_until = [message.time_next_visible for message in listening.calls]
    assert hidden_until[1] - hidden_until[0] >= timedelta(seconds=1), "received when the first lease was over"
    # over the maximum it is no longer called, and stays until its time to live ends
    await wait_until(lambda: caplog.text.count("has no poison queue") >= 4, "it is received twice more")
    assert listening.dequeue_counts == [1, 2]
    assert await queue.count() == 1
    assert [found.name async for found in service.list_queues(name_starts_with=queue.name)] == [queue.name]


async def test_a_missing_queue_is_not_created_but_waited_for(
    service: QueueServiceClient, listen: Listen, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    queue = Queue(service, queue_name())
    listening = listen(queue, succeed)
    await wait_until(lambda: "does not exist" in caplog.text, "it is warned of")
    await pauses.some_more()
    assert not await queue.exists()
    await queue.create()
    await queue.send("x")
    await wait_until(lambda: listening.texts == ["x"], "its first message is found")
    assert caplog.text.count("does not exist") == 1
    assert caplog.text.count(f"queue {queue.name} exists now") == 1


async def test_a_stop_takes_nothing_new_and_waits_for_what_runs(queue: Queue, listen: Listen, pauses: Pauses) -> None:
    async def body(message: QueueMessage) -> None:
        await may_end.wait()

    may_end = asyncio.Event()
    await queue.send("running")
    listening = listen(queue, body, max_polling_interval=timedelta(hours=1))
    await wait_until(lambda: listening.active == 1, "it runs")
    await wait_until(lambda: pauses.under_way == 2, "no request is on its way: lease and listener wait")
    listening.request_stop()
    await queue.send("too late")
    await asyncio.wait({listening.task}, timeout=0.5)  # time enough to end too early
    assert not listening.task.done()
    may_end.set()
    await listening.task
    assert listening.texts == ["running"]
    (left,) = await queue.client.peek_messages(max_messages=5)
    assert left.dequeue_count == 0


async def test_an_outage_is_two_lines_and_soon_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listen: Listen, pauses: Pauses, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = AzuriteServer(tmp_path / "azurite")
    await asyncio.to_thread(server.start)
    try:
        monkeypatch.setenv("QueuesConn", server.connection_string)
        async with QueueServiceClient.from_connection_string(server.connection_string) as service:
            queue = await Queue(service, queue_name()).create()
            # after the outage it is not waited for as long as for a queue that is empty
            listening = listen(queue, succeed, max_polling_interval=timedelta(hours=1))
            await asyncio.to_thread(server.stop)
            await wait_until(lambda: "is unavailable" in caplog.text, "the outage is noticed")
            await pauses.some_more()
            await asyncio.to_thread(server.start)
            await queue.send("after")
            await wait_until(lambda: listening.texts == ["after"], "a message after the outage")
            await listening.stop()
    finally:
        await asyncio.to_thread(server.stop)
    messages = [record.getMessage() for record in caplog.records if record.name == "host.storage"]
    assert [" is unavailable, " in message for message in messages] == [True, False]


async def test_a_broken_service_is_asked_again_soon(
    broken_service: BrokenService, listen: Listen, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "LONGEST_DELAY_IN_OUTAGE", timedelta(milliseconds=200))
    async with QueueServiceClient.from_connection_string(broken_service.connection_string) as service:
        listening = listen(Queue(service, "q"), succeed, max_polling_interval=timedelta(hours=1))
        await wait_until(lambda: len(broken_service.requests) >= 10, "ten tries")
        await listening.stop()
    assert max(pauses.delays[:10]) == timedelta(milliseconds=200), "and not as between polls of an empty queue"


async def test_the_first_message_of_an_idle_queue_comes_within_the_polling_interval(
    queue: Queue, listen: Listen, pauses: Pauses
) -> None:
    longest = timedelta(milliseconds=500)
    listening = listen(queue, succeed, lease=30, max_polling_interval=longest)
    await wait_until(lambda: pauses.delays.count(longest) >= 2, "the delay has grown to its longest")
    await queue.send("x")
    await wait_until(lambda: listening.texts == ["x"], "it arrives")
    assert max(pauses.delays) <= max(longest, timedelta(seconds=15)), "15 s: half of the message's lease"
