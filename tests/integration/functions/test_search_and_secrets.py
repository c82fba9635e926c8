"""What a role may not read is not found either: no answer about jobs depends on it, whatever is asked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from api.sign_in.identity import VIEWER, Principal
from api.sign_in.invite import InviteAuthenticator
from queued_jobs.dashboard import search
from tests.integration.functions.conftest import Site
from tests.support.stored_jobs import store

#: Two secrets that differ in every part, and have characters with a special meaning.
ONE, OTHER = "Quetzal*7431xy", "Brimful**90zw"
OPEN = "harbour"
EVERYBODY = ("viewer", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a secret is in a job, and for whom it is hidden there."""

    name: str
    row: Callable[[str], Mapping[str, Any]]
    hidden_from: tuple[str, ...] = EVERYBODY


def _request(name: str, of: Callable[[str], Any]) -> Place:
    return Place(name=name, row=lambda secret: {"request": {"open": OPEN, "hidden": of(secret)}})


def _error(name: str, of: Callable[[str], Mapping[str, str]], hidden_from: tuple[str, ...] = EVERYBODY) -> Place:
    error = {"type": "poison", "message": OPEN, "traceback": "Traceback"}
    return Place(
        name=name,
        row=lambda secret: {"request": {"open": OPEN}, "error": error | dict(of(secret))},
        hidden_from=hidden_from,
    )


PLACES = [
    _request("by name", lambda secret: {"password": secret}),
    _request("by name, nested", lambda secret: [{"api_key": {"deep": [secret, {secret: 1}]}}]),
    _request("by name, a number", lambda secret: {"pin_token": 743190 if secret == ONE else 906512}),
    _request("in a text", lambda secret: f"call with token={secret} please"),
    _request("in a name", lambda secret: {f"sig={secret}": 1}),
    _request("in an address", lambda secret: f"https://me:{secret}@host.example/"),
    _request("in a header", lambda secret: f"Bearer {secret}"),
    _request("in JSON in JSON", lambda secret: json.dumps({"inner": json.dumps({"secret": secret})})),
    _request("after unusual white space", lambda secret: f"token\u00a0=\u2003{secret}"),
    _request("in letters that case folding knows", lambda secret: f"to\u212aen={secret}"),
    _error("in a message", lambda secret: {"message": f"{OPEN} password={secret}"}),
    _error("in a traceback", lambda secret: {"traceback": f"{OPEN} {secret}"}, ("viewer",)),
    _error("masked in a traceback", lambda secret: {"traceback": f"{OPEN} pwd={secret}"}),
    _error("behind the cut of a list", lambda secret: {"message": f"{'x' * 290} //me:pw https://me:{secret}@h/"}),
]


#: What someone who guesses a secret would ask for.
PROBES = (ONE, OTHER.upper(), ONE[3:9], OTHER[:2], "7431", "9065", "*", f"={ONE[:1]}", f"/me:{OTHER[:1]}")


@pytest.fixture
async def viewer(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Invite links make no viewers: this is a guest in whose session stands the other role."""
    token = await site.token("viewer")
    real = InviteAuthenticator.authenticate

    async def authenticate(self: InviteAuthenticator, given: str) -> Principal:
        principal = await real(self, given)
        return dataclasses.replace(principal, roles=frozenset({VIEWER})) if given == token else principal

    monkeypatch.setattr(InviteAuthenticator, "authenticate", authenticate)
    return "viewer"


async def answers(site: Site, who: str, probe: str) -> list[Any]:
    """Everything that can be asked about jobs with a text."""
    query = {"text": probe}
    found: list[Any] = []
    for path, options in (
        ("jobs", {"limit": "2"}),
        ("jobs/count", {"action": "retry"}),
        ("jobs/statuses", {}),
        ("jobs.csv", {}),
    ):
        answer = await site.call(who, "GET", f"/api/admin/{path}", params=query | options)
        assert answer.status_code == 200, answer.text
        body = answer.text if path == "jobs.csv" else answer.json()
        found.append(
            {name: value for name, value in body.items() if name != "asOf"} if isinstance(body, dict) else body
        )
    return found


async def failures(site: Site, who: str) -> Any:
    answer = await site.call(who, "GET", "/api/admin/failures", params={"minutes": 400 * 24 * 60})
    assert answer.status_code == 200
    return answer.json()["groups"]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
async def test_no_answer_depends_on_what_is_hidden(
    site: Site, viewer: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXAMINED", 4)
    monkeypatch.setattr(search, "_BATCH", 2)
    url = site.settings["DATABASE_URL"]
    keys = store(url, 5, status="aborted", **place.row(ONE))

    def hide(secret: str, where: list[str]) -> None:
        row = place.row(secret)
        with psycopg.connect(url, autocommit=True) as connection:
            for name, value in row.items():
                change = sql.SQL("update queued_jobs.job set {} = %s where id = any(%s::uuid[])")
                connection.execute(change.format(sql.Identifier(name)), (json.dumps(value), where))

    async def ask(who: str) -> dict[str, Any]:
        found: dict[str, Any] = {probe: await answers(site, who, probe) for probe in [*PROBES, OPEN]}
        return found | {"failures": await failures(site, who)}

    told = {who: await ask(who) for who in place.hidden_from}
    for changed in (keys[1:3], keys):
        hide(OTHER, changed)
        for who in place.hidden_from:
            assert await ask(who) == told[who], who
    for who in place.hidden_from:
        assert len(told[who][OPEN][0]["items"]) == 2, "what shows is found"


async def test_what_a_role_may_read_it_finds(site: Site, viewer: str) -> None:
    error = {"type": "OSError", "message": "token=abc in the harbour", "traceback": "deep in the cellar"}
    (key,) = store(
        site.settings["DATABASE_URL"],
        request={"password": "hunter2", "note": "Größe 1.50 'big'", "n": 2.5, "yes": True, "key\n": None},
        error=error,
    )
    both = ["größe", "1.50", "2.5", "'BIG'", "true", "null", "key\n", "password", "oserror", "the harbour"]
    for text in both:
        for who in EVERYBODY:
            answer = await site.call(who, "GET", "/api/admin/jobs", params={"text": text})
            assert [item["id"] for item in answer.json()["items"]] == [key], (who, text)
            answer = await site.call(who, "GET", "/api/admin/jobs/count", params={"text": text})
            assert (answer.json()["number"], answer.json()["exact"]) == (1, True)
    for who, number in (("viewer", 0), ("admin", 1)):
        answer = await site.call(who, "GET", "/api/admin/jobs", params={"text": "cellar"})
        assert len(answer.json()["items"]) == number
    for text in ("hunter2", "abc", "traceback", "message", '": "', "{"):
        answer = await site.call("admin", "GET", "/api/admin/jobs", params={"text": text})
        assert answer.json()["items"] == [], text


#: They are filtered by, so they are shown as they are.
NAMES = {"kind", "queue", "user_id", "user_name", "status", "outcome"}


def texts_of(connection: psycopg.Connection[Any], table: str) -> dict[str, Any]:
    """Return a secret for every column of free text, as other code might have stored it."""
    columns = "select column_name from information_schema.columns where table_name = %s and data_type = 'text'"
    found = {str(name) for (name,) in connection.execute(columns, [table]).fetchall()} - NAMES
    return dict.fromkeys(found, f"token={ONE}")


async def test_whatever_text_other_code_has_stored_is_masked_in_every_answer(site: Site, viewer: str) -> None:
    error = dict.fromkeys(("type", "message", "traceback"), f"token={ONE}")
    url = site.settings["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        texts = texts_of(connection, "job")
        assert texts.keys() >= {"unique_key", "concurrency_key", "idempotency_key", "worker_id", "progress_message"}
        (key,) = store(url, error=error, request={"prefix": "", "name": f"token={ONE}"}, **texts)
        attempt = {"job_id": key, "gen": 1, "attempt": 1, "lease_token": key, "error": json.dumps(error)}
        attempt |= texts_of(connection, "attempt")
        insert = sql.SQL("insert into queued_jobs.attempt ({}, due_at, started_at) values ({}, now(), now())")
        names, values = map(sql.Identifier, attempt), map(sql.Literal, attempt.values())
        connection.execute(insert.format(sql.SQL(", ").join(names), sql.SQL(", ").join(values)))
    for who in EVERYBODY:
        for path in (
            "admin/jobs",
            "admin/jobs.csv",
            f"admin/jobs/{key}",
            f"admin/jobs/{key}/payload/request",
            f"jobs/{key}",
        ):
            answer = await site.call(who, "GET", f"/api/{path}")
            assert answer.status_code == 200 or (who == "viewer" and path == f"jobs/{key}"), (path, answer.text)
            assert ONE not in answer.text, path


async def test_a_bulk_action_changes_no_job_for_what_is_hidden(site: Site) -> None:
    (key,) = store(site.settings["DATABASE_URL"], request={"password": ONE, "open": OPEN})
    later = {"asOf": "9000-01-01T00:00:00Z", "action": "retry"}
    for text, changed in ((ONE, 0), (OPEN, 1)):
        answer = await site.call("admin", "POST", "/api/admin/jobs/bulk", json=later | {"filters": {"text": text}})
        assert answer.json()["changed"] == changed
    assert (await site.call("admin", "GET", f"/api/admin/jobs/{key}")).json()["status"] == "pending"
