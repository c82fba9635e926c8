"""What Postgres makes of stored models: jsonb writes numbers in its own way, sorts keys and drops doubled ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from queued_jobs.encryption import seal_with
from queued_jobs.serialization import NotStorable, StoredForm, form_of
from tests.integration.queued_jobs.conftest import Shop
from tests.support.models import Sample, some_model


@pytest.fixture(autouse=True)
def keys() -> Iterator[None]:
    seal_with(["a-key-of-the-tests-that-is-long-enough"])
    yield
    seal_with([])


async def test_models_come_back_as_they_were(shop: Shop) -> None:
    dice = random.Random()
    stored: list[tuple[Sample, StoredForm[Any], dict[str, Any]]] = []
    while len(stored) < 500:
        sample = some_model(dice)
        try:
            form = form_of(sample.model)
            stored.append((sample, form, form.dump(sample.value)))
        except NotStorable:
            continue
    async with shop.database.connection() as conn:
        query = "select item from jsonb_array_elements(%s) with ordinality as list (item, place) order by place"
        rows = await (await conn.execute(query, [Jsonb([data for *_, data in stored])])).fetchall()
    for (sample, form, data), row in zip(stored, rows, strict=True):
        read = form.load(row["item"])
        assert read == form.load(data) or sample.is_unique or "nan" in repr(read), sample.value
