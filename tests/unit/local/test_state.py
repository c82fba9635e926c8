"""The state folder: secrets only for their owner, one run at a time."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from tools.local_stack import state as state_module
from tools.local_stack.errors import LocalRunError, StateInUse
from tools.local_stack.state import State, temporary_folder, write_private


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_are_long_and_different(state: State) -> None:
    secrets = state.secrets()
    values = [secrets.invite, secrets.admin_invite, secrets.session, secrets.hub_key]
    assert len(set(values)) == 4
    assert min(map(len, values)) >= 32
    assert State(state.folder).secrets() == secrets


def test_secrets_are_readable_by_their_owner_only(state: State) -> None:
    state.secrets()
    assert mode(state.folder / "secrets.json") == 0o600
    assert mode(state.folder) == 0o711


@pytest.mark.parametrize("content", ["", "no JSON", "[]", '{"invite": "x"}'])
def test_damaged_secrets_are_an_error_with_a_remedy(state: State, content: str) -> None:
    (state.folder / "secrets.json").write_text(content)
    with pytest.raises(LocalRunError, match="--reset"):
        state.secrets()


def test_ports_are_kept_and_a_damaged_file_keeps_none(state: State) -> None:
    assert state.ports() == {}
    state.keep_ports({"host": [7071], "azurite": [1, 2, 3]})
    assert State(state.folder).ports() == {"host": [7071], "azurite": [1, 2, 3]}
    for content in (
        "",
        "no JSON",
        "[]",
        '{"host": 7071}',
        '{"host": ["7071"]}',
        '{"host": [0]}',
        '{"host": [65536]}',
        "7",
    ):
        (state.folder / "ports.json").write_text(content)
        assert state.ports() == {}


def test_a_second_run_is_refused_with_the_process_of_the_first(state: State) -> None:
    with state.lock(), pytest.raises(StateInUse, match=f"process {os.getpid()}"), State(state.folder).lock():
        pass


def test_the_lock_ends_with_its_block(state: State) -> None:
    for _ in range(2):
        with state.lock():
            pass


def test_clear_deletes_everything_but_the_lock(state: State) -> None:
    before = state.secrets()
    (state.folder / "azurite" / "deep").mkdir(parents=True)
    (state.folder / "azurite" / "deep" / "blob").write_text("data")
    (state.folder / "link").symlink_to(state.folder / "azurite")
    with state.lock():
        state.clear()
        assert [entry.name for entry in state.folder.iterdir()] == ["lock"]
    assert state.secrets() != before


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_folder_can_be_passed_through_and_is_deleted() -> None:
    with temporary_folder() as folder:
        assert mode(folder) == 0o711
        (folder / "file").touch()
    assert not folder.exists()


def test_what_is_thrown_away_lies_in_memory_only_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(state_module, "MIN_ROOM", 1)
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
    monkeypatch.setattr(state_module, "MIN_ROOM", 2**80)
    with temporary_folder() as folder:
        assert folder.parent == Path(tempfile.gettempdir())
    monkeypatch.setattr(state_module, "IN_MEMORY", tmp_path / "missing")
    monkeypatch.setattr(state_module, "MIN_ROOM", 1)
    with temporary_folder() as folder:
        assert folder.parent == Path(tempfile.gettempdir())
