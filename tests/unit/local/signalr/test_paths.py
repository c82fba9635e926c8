"""What a REST request means, by the table of paths."""

from __future__ import annotations

import pytest

from tools.signalr_emulator.errors import Refused
from tools.signalr_emulator.hubs import Receiver, ReceiverKind
from tools.signalr_emulator.paths import V1, VERSIONED, Action, Row, parse

ALL, USER, GROUP, CONNECTION = ReceiverKind.ALL, ReceiverKind.USER, ReceiverKind.GROUP, ReceiverKind.CONNECTION


@pytest.mark.parametrize(
    ("method", "path", "action", "receiver", "group", "success"),
    [
        ("POST", "/api/v1/hubs/jobs", Action.SEND, Receiver(ALL), "", 202),
        ("POST", "/api/v1/hubs/jobs/", Action.SEND, Receiver(ALL), "", 202),
        ("POST", "/api/hubs/jobs/:send", Action.SEND, Receiver(ALL), "", 202),
        ("POST", "/api/v1/hubs/jobs/users/a%2Fb%3Ac%25", Action.SEND, Receiver(USER, "a/b:c%"), "", 202),
        ("POST", "/api/hubs/jobs/users/:send/:send", Action.SEND, Receiver(USER, ":send"), "", 202),
        ("POST", "/api/hubs/jobs/users/v1/:send", Action.SEND, Receiver(USER, "v1"), "", 202),
        ("POST", "/api/hubs/jobs/groups/g/:send", Action.SEND, Receiver(GROUP, "g"), "g", 202),
        ("POST", "/api/hubs/jobs/groups/g/:closeConnections", Action.CLOSE, Receiver(GROUP, "g"), "g", 204),
        ("DELETE", "/api/hubs/jobs/connections/c", Action.CLOSE, Receiver(CONNECTION, "c"), "", 200),
        ("DELETE", "/api/v1/hubs/jobs/connections/c", Action.CLOSE, Receiver(CONNECTION, "c"), "", 202),
        ("HEAD", "/api/hubs/jobs/groups/g", Action.EXISTS, Receiver(GROUP, "g"), "g", 200),
        ("PUT", "/api/hubs/jobs/users/u/groups/g", Action.JOIN, Receiver(USER, "u"), "g", 200),
        ("PUT", "/api/v1/hubs/jobs/groups/g/users/u", Action.JOIN, Receiver(USER, "u"), "g", 202),
        ("PUT", "/api/hubs/jobs/groups/g/connections/c", Action.JOIN, Receiver(CONNECTION, "c"), "g", 200),
        ("GET", "/api/v1/hubs/jobs/groups/g/users/u", Action.IS_MEMBER, Receiver(USER, "u"), "g", 200),
        ("DELETE", "/api/hubs/jobs/connections/c/groups", Action.LEAVE_ALL, Receiver(CONNECTION, "c"), "", 200),
    ],
)
def test_a_request_is_understood(
    method: str, path: str, action: Action, receiver: Receiver, group: str, success: int
) -> None:
    call = parse(method, path)
    assert (call.action, call.hub, call.receiver, call.group) == (action, "jobs", receiver, group)
    assert call.success == success
    assert call.versioned is not path.startswith("/api/v1/")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/hubs/jobs", 404),
        ("POST", "/api/v1/hubs/jobs/:send", 404),
        ("POST", "/api/v1/hubs/jobs/users/a/b", 404),
        ("PUT", "/api/v1/hubs/jobs/users/u/groups/g", 404),
        ("PUT", "/api/hubs/jobs/groups/g/users/u", 404),
        ("POST", "/api/v2/hubs/jobs", 404),
        ("GET", "/api/hubs/jobs/:send", 405),
        ("DELETE", "/api/hubs/jobs/users/u", 405),
        ("POST", "/api/v1/hubs/9jobs", 400),
        ("POST", "/api/v1/hubs/" + "j" * 129, 400),
        ("POST", "/api/v1/hubs/jobs/users/", 404),
        ("POST", "/api/hubs/jobs/users//:send", 400),
        ("POST", "/api/hubs/jobs/groups/%20%20/:send", 400),
        ("POST", "/api/hubs/jobs/groups/" + "g" * 1025 + "/:send", 400),
    ],
)
def test_what_is_not_documented_is_refused(method: str, path: str, status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(method, path)
    assert refused.value.status == status


def test_hubs_ignore_case() -> None:
    assert parse("POST", "/api/v1/hubs/JobS").hub == "jobs"


@pytest.mark.parametrize("rows", [V1, VERSIONED])
def test_no_two_rows_answer_the_same_request(rows: tuple[Row, ...]) -> None:
    requests = [(method, row.path) for row in rows for method in row.methods.split()]
    assert len(requests) == len(set(requests))
