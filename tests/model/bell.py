"""The bell in a browser: what it does with pushes and reads, after the rules that the client and the server share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from queued_jobs import JobView
from tests.model.demo import REGISTRY
from tests.model.world import World

#: A job as pushes and reads show it.
type Shown = Mapping[str, Any]


class Bell:
    """The jobs that one tab shows.

    A job is taken in only if its version is higher than the known one, and a removed job keeps its version, so that a
    late push does not bring it back.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, Shown] = {}
        self._gone: dict[str, int] = {}

    def push(self, method: str, arguments: Sequence[Any]) -> None:
        """Take in one push as the hub delivers it."""
        if method == "removed":
            for change in arguments[0]:
                self._remove(change["id"], change["version"])
            return
        for job in arguments:
            if job["version"] <= self._gone.get(job["id"], -1):
                continue
            if job["clearedAt"] is not None:
                self._remove(job["id"], job["version"])
            else:
                self._put(job)

    def mark(self) -> dict[str, int]:
        """Remember what is known when a read begins."""
        return {key: job["version"] for key, job in self.jobs.items()}

    def merge(self, items: Sequence[Shown], mark: Mapping[str, int], *, more: bool = False) -> None:
        """Take in the answer of a read. What pushes changed since `mark` survives it."""
        for job in items:
            if job["version"] >= self._gone.get(job["id"], -1):
                self._put(job)
        present = {job["id"] for job in items}
        oldest = min((order(job) for job in items), default=None)
        for key, job in list(self.jobs.items()):
            proves = not more or oldest is None or order(job) > oldest
            if key not in present and proves and mark.get(key) == job["version"]:
                self._remove(key, job["version"])

    def _put(self, job: Shown) -> None:
        known = self.jobs.get(job["id"])
        if known is None or job["version"] > known["version"]:
            self.jobs[job["id"]] = job
            self._gone.pop(job["id"], None)

    def _remove(self, key: str, version: int) -> None:
        known = self.jobs.get(key)
        if known is not None and known["version"] > version:
            return
        self._gone[key] = max(version, self._gone.get(key, -1))
        self.jobs.pop(key, None)


def order(job: Shown) -> tuple[str, str]:
    return job["createdAt"], job["id"]


async def comes_right(world: World, user: str) -> None:
    """P13: shuffle, double and lose the pushes of one user, then read once: the bell shows what the store holds."""
    pushes = [(method, arguments) for owner, method, arguments in world.hub.pushes if owner == user]
    bell = Bell()
    for method, arguments in disturbed(pushes, world):
        bell.push(method, arguments)
    mark = bell.mark()
    page = await world.tracker.for_user(user)
    items = [JobView.of(row, REGISTRY).to_json() for row in page.jobs]
    bell.merge(items, mark)
    shown, stored = versions(bell.jobs.values()), versions(items)  # P4: the same version is the same content
    assert shown == stored, f"P13: the bell shows {shown}, the store holds {stored}"


def versions(jobs: Iterable[Shown]) -> dict[str, int]:
    return {job["id"]: job["version"] for job in jobs}


def disturbed(pushes: Sequence[tuple[str, Any]], world: World) -> Iterable[tuple[str, Any]]:
    some = [push for push in pushes if world.dice.random() < 0.7]
    doubled = some + [push for push in some if world.dice.random() < 0.3]
    world.dice.shuffle(doubled)
    return doubled
