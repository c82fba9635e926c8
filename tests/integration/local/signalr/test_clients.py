"""Who receives what, with the real client over each of its transports."""

from __future__ import annotations

import pytest

from tests.integration.local.signalr.harness import API_VERSION, AppServer, HubClients, StandIn
from tests.support.waiting import wait_until

MESSAGE = {"target": "job", "arguments": [{"id": "1"}]}


def test_a_push_to_a_user_reaches_that_user_alone(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    for user in ("ada", "bob:x/y", "Ada"):
        clients.connect(app, user, transport)
    v1 = stand_in.call("POST", "/api/v1/hubs/JOBS/users/ada", json={"target": "job", "arguments": ["for ada"]})
    assert v1.status_code == 202
    stand_in.send("for bob", user="bob:x/y")
    stand_in.send("for all")
    for user in ("ada", "bob:x/y", "Ada"):
        clients.wait_for_push(user, "for all")
    assert clients.received("ada") == ["for ada", "for all"]
    assert clients.received("bob:x/y") == ["for bob", "for all"]
    assert clients.received("Ada") == ["for all"]


def test_another_hub_hears_nothing(stand_in: StandIn, app: AppServer, clients: HubClients) -> None:
    clients.connect(app, "ada", "WebSockets")
    assert stand_in.call("POST", "/api/v1/hubs/other/users/ada", json=MESSAGE).status_code == 202
    stand_in.send("here", user="ada")
    clients.wait_for("ada", "job")
    assert clients.received("ada") == ["here"]


@pytest.mark.parametrize(
    ("version", "add", "remove"),
    [("/v1", "/groups/a%2Fb/users/{}", "/groups/a%2Fb/users/{}"), ("", "/users/{}/groups/a%2Fb", "/users/{}/groups")],
)
def test_a_user_is_in_a_group_with_present_and_future_connections(
    stand_in: StandIn, app: AppServer, clients: HubClients, version: str, add: str, remove: str
) -> None:
    base, query, verb = f"/api{version}/hubs/jobs", "" if version else f"?{API_VERSION}", "" if version else "/:send"
    early, late = f"early{len(version)}", f"late{len(version)}"
    clients.connect(app, early, "WebSockets")
    clients.connect(app, "outsider", "WebSockets")
    for user in (early, late):
        assert stand_in.call("PUT", base + add.format(user) + query).is_success
    clients.connect(app, late, "LongPolling")
    assert [each["groups"] for each in stand_in.connections()] == [["a/b"], [], ["a/b"]]

    assert stand_in.call("POST", f"{base}/groups/a%2Fb{verb}{query}", json=MESSAGE).status_code == 202
    assert stand_in.call("DELETE", base + remove.format(early) + query).is_success
    assert stand_in.call("POST", f"{base}/groups/a%2Fb{verb}{query}", json=MESSAGE).status_code == 202
    stand_in.send("end")
    for user, count in ((early, 1), (late, 2), ("outsider", 0)):
        clients.wait_for_push(user, "end")
        assert clients.received(user) == [{"id": "1"}] * count + ["end"]


def test_a_connection_is_addressed_grouped_and_excluded(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    first = clients.connect(app, "first", transport)
    second = clients.connect(app, "second", transport)
    base = "/api/hubs/jobs"
    assert stand_in.call("HEAD", f"{base}/connections/{first}?{API_VERSION}").status_code == 200
    assert stand_in.call("PUT", f"{base}/groups/some/connections/{first}?{API_VERSION}").status_code == 200
    assert stand_in.call("HEAD", f"{base}/groups/some?{API_VERSION}").status_code == 200

    def send(to: str, text: str, more: str = "") -> None:
        body = {"target": "job", "arguments": [text]}
        assert stand_in.call("POST", f"{base}{to}/:send?{API_VERSION}{more}", json=body).status_code == 202

    send(f"/connections/{second}", "alone")
    send("/groups/some", "group")
    send("/groups/some", "nobody", f"&excluded={first}")
    send("", "all but one", f"&excluded={second}&excluded=unknown")
    assert stand_in.call("DELETE", f"{base}/connections/{first}/groups?{API_VERSION}").status_code == 200
    assert stand_in.call("HEAD", f"{base}/groups/some?{API_VERSION}").status_code == 404
    stand_in.send("end")
    for each in ("first", "second"):
        clients.wait_for_push(each, "end")
    assert clients.received("first") == ["group", "all but one", "end"]
    assert clients.received("second") == ["alone", "end"]


def test_many_pushes_arrive_all_and_in_order(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    for number in range(300):
        stand_in.send(number, user="ada")
    clients.wait_for("ada", "job", count=300)
    assert clients.received("ada") == list(range(300))


def test_a_push_keeps_its_json_to_the_letter(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    argument = {
        "text": "ü\u2028\x1e\N{GRINNING FACE} </script>",
        "none": None,
        "deep": [[{"yes": True}]],
        "number": 0.1,
    }
    stand_in.send(argument, user="ada")
    clients.wait_for("ada", "job")
    assert clients.received("ada") == [argument]


def test_closing_connections_keeps_the_client_away(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    for user in ("ada", "bob", "eve"):
        clients.connect(app, user, transport)
    eve = clients.of("eve", "started")[0]["id"]
    stand_in.send("before", user="ada")
    closed = stand_in.call("POST", f"/api/hubs/jobs/users/ada/:closeConnections?{API_VERSION}&reason=sign-out")
    assert closed.status_code == 204
    assert clients.wait_for("ada", "closed")["error"] == "Server returned an error on close: sign-out"
    assert clients.received("ada") == ["before"]
    assert stand_in.call("DELETE", f"/api/v1/hubs/jobs/connections/{eve}").status_code == 202
    clients.wait_for("eve", "closed")
    assert clients.of("ada", "reconnecting") == clients.of("eve", "reconnecting") == []
    wait_until(lambda: [each["user"] for each in stand_in.connections()] == ["bob"], "only bob is left")
    assert stand_in.call("HEAD", f"/api/hubs/jobs/users/ada?{API_VERSION}").status_code == 404


def test_a_client_that_invokes_is_disconnected_for_good(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    clients.tell("invoke", "ada", method="clear")
    assert "only listen" in clients.wait_for("ada", "closed")["error"]
    assert clients.of("ada", "reconnecting") == []
    wait_until(lambda: stand_in.connections() == [], "the connection is gone")


def test_a_client_that_stops_is_gone_at_once(
    stand_in: StandIn, app: AppServer, clients: HubClients, transport: str
) -> None:
    clients.connect(app, "ada", transport)
    assert [each["transport"] for each in stand_in.connections()] == [transport]
    clients.tell("stop", "ada")
    clients.wait_for("ada", "stopped")
    wait_until(lambda: stand_in.connections() == [], "the connection is gone")


def test_a_client_with_a_bad_token_is_refused(stand_in: StandIn, clients: HubClients, transport: str) -> None:
    clients.tell("start", "eve", url=f"{stand_in.endpoint}/client/?hub=jobs", bearer="forged", transport=transport)
    assert "Invalid token" in clients.wait_for("eve", "refused")["error"]


def test_a_connection_token_is_of_no_use_to_another_user(stand_in: StandIn) -> None:
    mine, other = stand_in.negotiate_answer("ada"), stand_in.negotiate_answer("eve")
    path = "/client/?hub=jobs"
    negotiated = stand_in.call("POST", "/client/negotiate?hub=jobs", token=mine["accessToken"]).json()
    assert [each["transport"] for each in negotiated["availableTransports"]] == ["WebSockets", "LongPolling"]
    poll = f"{path}&id={negotiated['connectionToken']}"
    assert stand_in.call("GET", poll, token=other["accessToken"]).status_code == 404
    assert stand_in.call("GET", path, token=mine["accessToken"]).status_code == 400
    assert stand_in.call("GET", poll, token=mine["accessToken"]).status_code == 200
    assert stand_in.call("DELETE", poll, token=mine["accessToken"]).status_code == 202
    assert stand_in.call("GET", poll, token=mine["accessToken"]).status_code == 404
