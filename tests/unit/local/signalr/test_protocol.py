"""Records of the JSON hub protocol."""

from __future__ import annotations

from typing import Any

import pytest

from tools.signalr_emulator.protocol import (
    LONGEST_MESSAGE,
    ProtocolError,
    RecordReader,
    check_handshake,
    closing,
    invocation,
)


def test_records_are_found_wherever_the_transport_cuts_them() -> None:
    text = '{"type":6}\x1e{"a":"b"}\x1e'
    for cut in range(len(text)):
        reader = RecordReader()
        assert reader.feed(text[:cut]) + reader.feed(text[cut:]) == [{"type": 6}, {"a": "b"}]


@pytest.mark.parametrize("text", ["{\x1e", "[]\x1e", "\x1e", "6\x1e", "x" * (LONGEST_MESSAGE + 1)])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        RecordReader().feed(text)


@pytest.mark.parametrize("handshake", [{"protocol": "json", "version": 1}, {"protocol": "json", "version": 2}])
def test_the_json_protocol_is_accepted(handshake: dict[str, Any]) -> None:
    check_handshake(handshake)


@pytest.mark.parametrize(
    ("handshake", "reason"),
    [
        ({"protocol": "messagepack", "version": 1}, "The protocol 'messagepack' is not supported."),
        ({"protocol": "json", "version": 3}, "does not support version 3"),
        ({"type": 6}, "The protocol 'None' is not supported."),
    ],
)
def test_any_other_protocol_is_refused(handshake: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        check_handshake(handshake)


def test_a_separator_inside_a_push_is_escaped() -> None:
    frame = invocation("job", ["a\x1eb"])
    assert frame == '{"type":1,"target":"job","arguments":["a\\u001eb"]}\x1e'


def test_a_close_record_says_whether_to_come_back() -> None:
    assert closing(None, allow_reconnect=True) == '{"type":7,"allowReconnect":true}\x1e'
    assert closing("bye", allow_reconnect=False) == '{"type":7,"error":"bye"}\x1e'
