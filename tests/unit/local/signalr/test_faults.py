"""What happens to pushes on purpose."""

from __future__ import annotations

import pytest

from tools.signalr_emulator.faults import Faults, Mode, Push
from tools.signalr_emulator.hubs import Receiver, ReceiverKind


def push(text: str, user: str = "ada", hub: str = "jobs") -> Push:
    return Push(hub=hub, receiver=Receiver(ReceiverKind.USER, user), target="job", arguments=[text])


def delivered(faults: Faults, *texts: str) -> str:
    """The letters of the delivered pushes; a capital letter is a push to another user."""
    return "".join(
        each.arguments[0]
        for text in "".join(texts)
        for each in faults.apply(push(text, "bob" if text.isupper() else "ada"))
    )


def test_without_faults_every_push_is_delivered_once() -> None:
    assert delivered(Faults(), "abC") == "abC"


@pytest.mark.parametrize(
    ("mode", "count", "result"),
    [
        ("discard", None, ""),
        ("discard", 2, "cd"),
        ("duplicate", None, "aabbccdd"),
        ("duplicate", 1, "aabcd"),
        ("reorder", None, "badc"),
        ("reorder", 1, "bacd"),
    ],
)
def test_a_mode_hits_all_pushes_or_the_next_so_many(mode: str, count: int | None, result: str) -> None:
    faults = Faults()
    getattr(faults, mode).start(count)
    assert delivered(faults, "abcd") == result
    assert faults.describe()[mode] == ("on" if count is None else "off")


def test_reorder_swaps_pushes_of_one_receiver() -> None:
    faults = Faults()
    faults.reorder.start()
    assert delivered(faults, "aAbB") == "baBA"


def test_modes_combine() -> None:
    faults = Faults()
    faults.discard.start(1)
    faults.reorder.start(1)
    faults.duplicate.start(3)
    assert delivered(faults, "abcde") == "ccbbdde"


def test_a_push_held_back_goes_with_the_next_even_when_the_mode_has_been_stopped() -> None:
    faults = Faults()
    faults.reorder.start()
    assert delivered(faults, "a") == ""
    faults.reorder.stop()
    assert delivered(faults, "bc") == "bac"


def test_reset_turns_everything_off_and_gives_back_what_was_held() -> None:
    faults = Faults()
    for mode in (faults.refuse, faults.reorder, faults.duplicate):
        mode.start()
    delivered(faults, "aB")
    assert [each.arguments[0] for each in faults.reset()] == ["a", "B"]
    assert faults.describe() == {"refuse": "off", "discard": "off", "reorder": "off", "duplicate": "off"}
    assert delivered(faults, "c") == "c"


def test_a_new_start_replaces_the_old_one() -> None:
    mode = Mode()
    mode.start()
    mode.start(1)
    assert [mode.describe(), mode.strikes(), mode.strikes(), mode.describe()] == [1, True, False, "off"]
