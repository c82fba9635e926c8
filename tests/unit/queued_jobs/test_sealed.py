"""Texts that are stored encrypted: only the body reads them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from queued_jobs import JobContext, JobRunner, Sealed
from queued_jobs.encryption import seal_with
from queued_jobs.errors import KeyReused
from queued_jobs.testing import JobBench

OLD, NEW = "an-old-key-of-the-tests-long-enough", "a-new-key-of-the-tests-long-enough"
SECRET = "correct horse battery staple"


class Login(BaseModel):
    user: str
    password: Sealed


class Length(BaseModel):
    characters: int


class Crawl(JobRunner[Login, Length]):
    kind = "crawl"
    queue = "crawl"

    async def on_execute(self, request: Login, ctx: JobContext[Length]) -> Length:
        return Length(characters=len(request.password.get_secret_value()))


def login(password: str = SECRET) -> Login:
    return Login.model_validate({"user": "ann", "password": password})


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    seal_with([OLD])
    yield
    seal_with([])


async def test_the_body_reads_what_no_row_and_no_push_holds() -> None:
    bench = JobBench(Crawl)
    handle = await bench.manager.queue_job(Crawl, login(), user_id="ann")
    await bench.drain()
    assert bench.job(handle).result == {"characters": len(SECRET)}
    assert SECRET not in repr(bench.repository.jobs) + repr(bench.notifier.pushed) + repr(login())
    assert bench.job(handle).request["password"].startswith("sealed:1:")


async def test_a_repeated_request_is_seen_to_be_the_same() -> None:
    bench = JobBench(Crawl)
    first = await bench.manager.queue_job(Crawl, login(), idempotency_key="k", user_id="ann")
    assert (await bench.manager.queue_job(Crawl, login(), idempotency_key="k", user_id="ann")).id == first.id
    with pytest.raises(KeyReused):
        await bench.manager.queue_job(Crawl, login("another"), idempotency_key="k", user_id="ann")


def test_a_key_is_replaced_without_a_break() -> None:
    stored = login().model_dump(mode="json")
    seal_with([NEW, OLD])
    assert Login.model_validate(stored).password.get_secret_value() == SECRET
    assert login().model_dump(mode="json") != stored, "the new one seals"
    seal_with([NEW])
    with pytest.raises(ValidationError, match="seal_with") as caught:
        Login.model_validate(stored)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("damage", ["sealed:1:", "sealed:1:!!!", "sealed:1:AAAA", "sealed:1:" + "A" * 64])
def test_what_was_tampered_with_is_refused(damage: str) -> None:
    with pytest.raises(ValidationError, match="password"):
        login(damage)


def test_without_a_key_nothing_is_stored_in_the_clear() -> None:
    seal_with([])
    with pytest.raises(ValueError, match="seal_with"):
        login().model_dump(mode="json")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        seal_with([NEW, "short"])
