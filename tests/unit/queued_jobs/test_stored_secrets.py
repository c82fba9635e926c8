"""Secrets and fields that are never stored: refused when the class of the kind is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
    Field,
    PlainSerializer,
    Secret,
    SecretBytes,
    SecretStr,
)
from pydantic.dataclasses import dataclass as checked_dataclass
from typing_extensions import TypedDict

from queued_jobs import JobContext, JobRunner
from queued_jobs.encryption import seal_with
from queued_jobs.errors import InvalidRequest
from queued_jobs.testing import run_inline
from tests.support.kinds import Nothing, echo, made


@pytest.fixture(autouse=True, scope="module")
def keys() -> Iterator[None]:
    seal_with(["a-key-of-the-tests-that-is-long-enough"])
    yield
    seal_with([])


@checked_dataclass
class Key:
    secret: SecretStr


class Entry(TypedDict):
    password: SecretBytes


def with_field(type_: Any) -> type[BaseModel]:
    return type("Login", (BaseModel,), {"__annotations__": {"user": str, "key": type_}, "__module__": __name__})


@pytest.mark.parametrize(
    "type_",
    [
        SecretStr,
        SecretBytes,
        Secret[int],
        SecretStr | None,
        list[SecretStr],
        dict[str, SecretStr],
        tuple[int, SecretStr],
        Key,
        list[Entry],
        with_field(SecretStr),
        int | SecretStr,
    ],
    ids=str,
)
@pytest.mark.parametrize("side", ["request", "result"])
def test_a_secret_is_refused_at_import(type_: Any, side: str) -> None:
    login = with_field(type_)
    with pytest.raises(TypeError, match=r"Login .*the field key.* Sealed"):

        class Wrong(JobRunner[login if side == "request" else Nothing, login]):  # type: ignore[misc]
            kind = queue = "wrong"

            async def on_execute(self, request: Any, ctx: JobContext[Any]) -> Any: ...


async def test_a_secret_that_somebody_writes_out_is_theirs() -> None:
    login = with_field(Annotated[SecretStr, PlainSerializer(lambda value: value.get_secret_value(), when_used="json")])
    kind = echo(login)
    kind.answer = made(login, user="a", key="b")  # type: ignore[attr-defined]
    await run_inline(kind, made(login, user="a", key="c"))
    assert kind.seen[0].key.get_secret_value() == "c"  # type: ignore[attr-defined]


def test_a_field_that_is_never_stored_is_refused_at_import() -> None:
    class Wrong(BaseModel):
        n: int = Field(exclude=True)

    with pytest.raises(TypeError, match="the field n "):
        echo(Wrong)


class Late(BaseModel):
    inner: NotYet  # type: ignore[name-defined]  # noqa: F821 (its type is not there yet)


async def test_what_is_not_known_at_import_is_looked_at_later() -> None:
    kind = echo(Late)
    Late.model_rebuild(_types_namespace={"NotYet": SecretStr})
    with pytest.raises(InvalidRequest, match="the field inner is a secret"):
        await run_inline(kind, Late(inner=SecretStr("x")))
