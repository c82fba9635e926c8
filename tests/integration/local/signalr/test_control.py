"""The faults that tests and rehearsals ask for, seen by the real client."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.integration.local.signalr.harness import AppServer, HubClients, StandIn

OFF = {"refuse": "off", "discard": "off", "reorder": "off", "duplicate": "off"}


def wait_for_pushes(clients: HubClients, user: str, expected: list[Any]) -> None:
    clients.wait_for(user, "job", count=len(expected))
    assert clients.received(user) == expected


def test_drop_cuts_the_sockets_of_one_user_or_of_all(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    clients.connect(app, "bob", transport)
    assert stand_in.control("drop?user=ada") == {"dropped": 1}
    cause = clients.wait_for("ada", "reconnecting")["error"]
    assert "1006" in cause if transport == "WebSockets" else "fetch failed" in cause
    clients.wait_for("ada", "reconnected")
    assert clients.of("bob", "reconnecting") == []
    assert stand_in.control("drop") == {"dropped": 2}
    clients.wait_for("bob", "reconnected")
    clients.wait_for("ada", "reconnected", count=2)
    stand_in.send("back")
    wait_for_pushes(clients, "ada", ["back"])
    wait_for_pushes(clients, "bob", ["back"])


def test_pause_loses_pushes_that_rest_accepts(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    assert stand_in.control("pause?count=2")["modes"] == {**OFF, "discard": 2}
    for number in range(3):
        stand_in.send(number, user="ada")
    assert stand_in.control("pause")["modes"] == {**OFF, "discard": "on"}
    stand_in.send(3, user="ada")
    assert stand_in.control("resume")["modes"] == OFF
    stand_in.send(4, user="ada")
    wait_for_pushes(clients, "ada", [2, 4])


def test_duplicate_and_reorder_work_together_and_for_each_receiver(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    clients.connect(app, "bob", transport)
    stand_in.control("reorder?count=2")
    stand_in.control("duplicate?count=3")
    for number in range(4):
        stand_in.send(number, user="ada")
        if number == 0:
            stand_in.send("held back for bob", user="bob")
    wait_for_pushes(clients, "ada", [1, 1, 0, 0, 2, 2, 3])
    stand_in.send("next", user="bob")
    wait_for_pushes(clients, "bob", ["next", "held back for bob"])


def test_reset_delivers_what_was_held_back(stand_in: StandIn, app: AppServer, clients: HubClients) -> None:
    clients.connect(app, "ada", "WebSockets")
    stand_in.control("reorder")
    stand_in.control("refuse?count=5")
    assert stand_in.control("reset")["modes"] == OFF
    stand_in.control("reorder")
    stand_in.send("late", user="ada")
    assert stand_in.control("reset")["modes"] == OFF
    wait_for_pushes(clients, "ada", ["late"])


@pytest.mark.parametrize("status", [503, 429])
def test_refuse_answers_rest_and_negotiate(
    stand_in: StandIn, app: AppServer, clients: HubClients, status: int, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    stand_in.control(f"refuse?status={status}&count=2")
    refusal = stand_in.call("POST", "/api/v1/hubs/jobs", json={"target": "job"})
    assert (refusal.status_code, refusal.headers["retry-after"]) == (status, "1")
    clients.tell("start", "bob", url=f"{app.url}/api?user=bob", transport=transport)
    assert f"Status code '{status}'" in clients.wait_for("bob", "refused")["error"]
    stand_in.send("still here", user="ada")
    wait_for_pushes(clients, "ada", ["still here"])


def test_the_log_holds_what_rest_accepted(stand_in: StandIn) -> None:
    stand_in.control("pause?count=1")
    stand_in.send({"id": "1"}, user="ada")
    stand_in.send("all")
    one, two = stand_in.control("log", method="GET")["pushes"]
    assert datetime.fromisoformat(one.pop("time")) <= datetime.fromisoformat(two.pop("time"))
    to_ada = {"kind": "user", "name": "ada"}
    assert one == {"hub": "jobs", "receiver": to_ada, "target": "job", "arguments": [{"id": "1"}]}
    assert two == {"hub": "jobs", "receiver": {"kind": "all", "name": ""}, "target": "job", "arguments": ["all"]}
    stand_in.control("reset")
    assert stand_in.control("log", method="GET") == {"pushes": []}


@pytest.mark.parametrize(
    "path",
    ["drop?users=ada", "pause?count=0", "pause?count=many", "refuse?status=500", "resume?count=1", "reset?all=1"],
)
def test_a_misspelt_option_is_refused_and_changes_nothing(
    stand_in: StandIn, app: AppServer, clients: HubClients, path: str
) -> None:
    clients.connect(app, "ada", "WebSockets")
    assert stand_in.http.post(f"{stand_in.endpoint}/_control/{path}").status_code == 400
    stand_in.send("works", user="ada")
    wait_for_pushes(clients, "ada", ["works"])


def test_a_web_page_may_not_call_the_control_endpoints(stand_in: StandIn) -> None:
    for path in ("drop", "reset", "refuse"):
        response = stand_in.http.post(
            f"{stand_in.endpoint}/_control/{path}", headers={"Origin": "https://page.example"}
        )
        assert response.status_code == 403
