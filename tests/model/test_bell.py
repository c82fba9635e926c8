"""P13 without a server: whatever pushes a tab gets, in whatever order, one read puts its bell right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.model.bell import Bell, Shown, order

Push = tuple[str, list[Any]]


class Account:
    """One user's jobs on the server: each change has the next version, and is pushed."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pushes: list[Push] = []

    def change(self, key: str, what: str) -> None:
        job = self.jobs.get(key)
        if job is None:
            job = {"id": key, "version": 1, "status": "pending", "clearedAt": None, "createdAt": f"2026-01-01T00:{key}"}
        elif what == "clear":
            job = job | {"version": job["version"] + 1, "clearedAt": "2026-01-02T00:00"}
        else:
            job = job | {"version": job["version"] + 1, "status": what, "clearedAt": None}
        self.jobs[key] = job
        removed = [{"id": key, "version": job["version"]}]
        self.pushes.append(("job", [job]) if job["clearedAt"] is None else ("removed", [removed]))

    def page(self, limit: int) -> tuple[list[Shown], bool]:
        """The newest jobs that are not cleared, and whether there are more."""
        shown = sorted((job for job in self.jobs.values() if job["clearedAt"] is None), key=order, reverse=True)
        return list(shown[:limit]), len(shown) > limit


def account(changes: Sequence[tuple[str, str]]) -> Account:
    made = Account()
    for key, what in changes:
        made.change(key, what)
    return made


def tab(pushes: Sequence[Push]) -> Bell:
    bell = Bell()
    for push in pushes:
        bell.push(*push)
    return bell


def read(bell: Bell, server: Account, limit: int) -> list[Shown]:
    mark = bell.mark()
    items, more = server.page(limit)
    bell.merge(items, mark, more=more)
    return items


CHANGES = st.lists(
    st.tuples(st.sampled_from(["01", "02", "03", "04"]), st.sampled_from(["running", "succeeded", "clear"])),
    max_size=14,
)
LIMITS = st.sampled_from([2, 50])


@given(CHANGES, LIMITS, st.data())
def test_after_any_pushes_one_read_puts_it_right(
    changes: list[tuple[str, str]], limit: int, data: st.DataObject
) -> None:
    server = account(changes)
    some = st.lists(st.sampled_from(server.pushes)) if server.pushes else st.just([])
    bell = tab(data.draw(some, label="pushes, lost and doubled and out of order"))
    items = read(bell, server, limit)
    newest_first = sorted(bell.jobs.values(), key=order, reverse=True)
    assert newest_first[: len(items)] == items
    assert limit == 2 or len(newest_first) == len(items), "a job is shown that the server does not show"


@given(CHANGES, CHANGES, st.data())
def test_what_changes_during_a_read_survives_it(
    before: list[tuple[str, str]], during: list[tuple[str, str]], data: st.DataObject
) -> None:
    server = account(before)
    bell = tab(data.draw(st.permutations(server.pushes), label="pushes before the read"))
    mark, (items, more) = bell.mark(), server.page(50)
    known = len(server.pushes)
    for key, what in during:
        server.change(key, what)
    for push in data.draw(st.permutations(server.pushes[known:]), label="pushes during the read"):
        bell.push(*push)
    bell.merge(items, mark, more=more)
    shown, _ = server.page(50)
    assert {job["id"]: job for job in shown} == bell.jobs


@given(CHANGES, st.data())
def test_late_and_doubled_pushes_change_nothing(changes: list[tuple[str, str]], data: st.DataObject) -> None:
    server = account(changes)
    bell = tab(server.pushes)
    right = dict(bell.jobs)
    for push in data.draw(st.permutations(server.pushes + server.pushes), label="the same pushes again"):
        bell.push(*push)
    assert bell.jobs == right
    read(bell, server, 50)
    assert bell.jobs == right
