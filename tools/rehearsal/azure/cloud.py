"""The cloud as a file: the existing resources, and the rules that only Azure itself enforces."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tools.rehearsal.azure.kinds import SUBSCRIPTION, Kind
from tools.rehearsal.azure.wire import Properties

#: How long a change takes, so that changes that must not overlap could do so.
OPERATION_SECONDS = 0.05
POSTGRES_SECONDS = 0.3
_POSTGRES = re.compile(r"(.*/Microsoft\.DBforPostgreSQL/flexibleServers/[^/]+)(/.*)?")
#: Azure keeps the names of deleted resources of these types for days.
_NAME_KEPT = re.compile(r".*/(Microsoft\.DBforPostgreSQL/flexibleServers|Microsoft\.Web/sites)/[^/]+")
_CONTAINER = re.compile(r"https://([a-z0-9]+)\.blob\.core\.windows\.net/([a-z0-9-]+)")


class Refused(Exception):
    """Azure would reject it; the message begins with Azure's own code."""


class Cloud:
    """The folder contains `cloud.json` (resources), `calls.jsonl` (requests, in order), `held.txt` and `kept.json`.

    A change is in the file before it is finished: like Azure, it continues even if the client disconnects.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._busy_servers: set[str] = set()
        self._cancelled = threading.Event()

    def resources(self) -> dict[str, Properties]:
        """Return everything that exists, by id."""
        path = self._folder / "cloud.json"
        found: dict[str, Properties] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def calls(self) -> list[dict[str, Any]]:
        """Return all requested changes, in the order of their completion."""
        path = self._folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def forget(self, id_: str) -> None:
        """Delete a resource outside of Pulumi."""
        self._change(remove=[id_])

    def hold(self, name: str) -> None:
        """Let creations and deletions of resources with this logical name end only after `cancel`; "" ends this."""
        (self._folder / "held.txt").write_text(name)

    def cancel(self) -> None:
        """End what is held in this process."""
        self._cancelled.set()

    def create(self, urn: str, kind: Kind, id_: str, inputs: Properties) -> Properties:
        """Create it and return Azure's response. Raises `Refused`."""
        with self._recorded("create", urn, id_):
            existing = self.resources()
            if id_ in existing and not kind.always_there:
                raise Refused(f"cannot create already existing resource '{id_}'")
            if id_ in self._kept_names():
                raise Refused(f"ServerNameAlreadyExists: {id_} was deleted, and its name is kept for days")
            _check_parent(existing, id_)
            _check_references(existing, inputs)
            return self._put(urn, kind, id_, inputs, "create")

    def update(self, urn: str, kind: Kind, id_: str, inputs: Properties) -> Properties:
        """Change it and return Azure's response. Raises `Refused`."""
        with self._recorded("update", urn, id_):
            existing = self.resources()
            if id_ not in existing:
                raise Refused(f"ResourceNotFound: {id_} does not exist")
            _check_references(existing, inputs)
            return self._put(urn, kind, id_, inputs, "update")

    def delete(self, urn: str, id_: str) -> None:
        """Delete it with its children; do nothing if it does not exist. Raises `Refused`."""
        with self._recorded("delete", urn, id_), self._not_busy(id_):
            existing = self.resources()
            own = _within(existing, id_)
            for lock in (each for each in existing if "/providers/Microsoft.Authorization/locks/" in each):
                scope = lock.split("/providers/Microsoft.Authorization/locks/")[0]
                if lock != id_ and (scope in own or id_.startswith(f"{scope}/")):
                    raise Refused(f"ScopeLocked: {scope} is locked against deletion; remove its lock first")
            self._change(remove=own)
            self._wait_if_held(urn)
            with self._lock:
                kept = self._kept_names().union(each for each in own if _NAME_KEPT.fullmatch(each))
                (self._folder / "kept.json").write_text(json.dumps(sorted(kept)))

    def _kept_names(self) -> set[str]:
        path = self._folder / "kept.json"
        return set(json.loads(path.read_text())) if path.exists() else set()

    def _put(self, urn: str, kind: Kind, id_: str, inputs: Properties, operation: str) -> Properties:
        with self._not_busy(id_):
            response = {
                **inputs,
                **kind.computed(inputs, id_),
                "name": id_.rsplit("/", 1)[1],
                "type": kind.type,
                "provisioningState": "Succeeded",
            }
            # with the inputs: some of them are not in the response
            self._change(put={id_: {"urn": urn, "inputs": inputs, "response": response}})
            if operation == "create":
                self._wait_if_held(urn)
            return response

    @contextmanager
    def _not_busy(self, id_: str) -> Iterator[None]:
        """A database server accepts one change at a time, of itself or of a child."""
        match = _POSTGRES.fullmatch(id_)
        if match is None:
            time.sleep(OPERATION_SECONDS)
            yield
            return
        server = match[1]
        with self._lock:
            if server in self._busy_servers:
                raise Refused(f"ServerIsBusy: {server} is busy with another change; order its parts by depends_on")
            self._busy_servers.add(server)
        try:
            time.sleep(POSTGRES_SECONDS)
            yield
        finally:
            with self._lock:
                self._busy_servers.discard(server)

    def _wait_if_held(self, urn: str) -> None:
        path = self._folder / "held.txt"
        if path.exists() and path.read_text() == urn.split("::")[-1]:
            self._cancelled.wait()

    @contextmanager
    def _recorded(self, operation: str, urn: str, id_: str) -> Iterator[None]:
        call: dict[str, Any] = {"operation": operation, "name": urn.split("::")[-1], "id": id_, "started": time.time()}
        try:
            yield
        except Refused as error:
            call["refused"] = str(error)
            raise
        finally:
            with self._lock, (self._folder / "calls.jsonl").open("a") as file:
                file.write(json.dumps({**call, "ended": time.time()}) + "\n")

    def _change(self, *, put: dict[str, Any] | None = None, remove: list[str] | None = None) -> None:
        with self._lock:
            resources = self.resources() | (put or {})
            for id_ in remove or ():
                resources.pop(id_, None)
            part = self._folder / "cloud.json.part"
            part.write_text(json.dumps(resources, indent=1, sort_keys=True))
            part.replace(self._folder / "cloud.json")


def _within(existing: dict[str, Any], id_: str) -> list[str]:
    return [each for each in existing if each == id_ or each.startswith(f"{id_}/")]


def _check_parent(existing: dict[str, Any], id_: str) -> None:
    group = re.match(r"/subscriptions/[^/]+/resourceGroups/[^/]+", id_)
    if group is not None and group[0] != id_ and group[0] not in existing:
        raise Refused(f"ResourceGroupNotFound: {group[0]} does not exist; the resource must depend on it")
    match = re.fullmatch(r"(.*/providers/[^/]+/[^/]+/[^/]+)/.+", id_)
    if match is not None and match[1] not in existing:
        raise Refused(f"ParentResourceNotFound: {match[1]} does not exist; the resource must depend on it")


def _check_references(existing: dict[str, Any], inputs: Any) -> None:
    """Reject references to resources that do not exist: Azure looks them up."""
    for text in _texts(inputs):
        if text.startswith(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/"):
            parts = text.split("/")
            known = ["/".join(parts[:end]) for end in range(len(parts), 4, -1)]
            enough = known if len(parts) <= 5 else [each for each in known if each.count("/") >= 8]
            if not any(each in existing for each in enough):
                raise Refused(f"LinkedResourceNotFound: {text} does not exist; the resource must depend on it")
        container = _CONTAINER.fullmatch(text)
        if container is not None:
            path = f"/storageAccounts/{container[1]}/blobServices/default/containers/{container[2]}"
            if not any(each.endswith(path) for each in existing):
                raise Refused(f"ContainerNotFound: {text} does not exist; the app must depend on it")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value
