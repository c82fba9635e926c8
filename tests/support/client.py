"""A user of the running system, over HTTP alone."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.waiting import PATIENCE_SECONDS

FINAL = ("succeeded", "failed", "cancelled", "aborted")


class Person:
    """One guest or admin with a session of their own. Use it as a context manager."""

    def __init__(self, page_url: str, invite: str, *, session: dict[str, Any] | None = None) -> None:
        self._api = httpx.Client(base_url=page_url, trust_env=False, timeout=PATIENCE_SECONDS)
        self._storage = httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS)
        session = session or self.call("POST", "/api/session", json={"invite": invite}).json()
        self.token: str = session["token"]
        self.user_id: str = session["user"]["id"]
        self._api.headers["Authorization"] = f"Bearer {self.token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._api.close()
        self._storage.close()

    @classmethod
    def of(cls, page_url: str, session: dict[str, Any]) -> Self:
        """Somebody who is signed in already, such as a page."""
        return cls(page_url, "", session=session)

    def status(self, method: str, path: str) -> int:
        """Call and return the status of the answer, whatever it is."""
        return self._api.request(method, path).status_code

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._api.request(method, path, **options).raise_for_status()

    def upload(self, files: dict[str, bytes]) -> str:
        """Upload files as the page does; returns their prefix."""
        wanted = [{"name": name, "size": len(content)} for name, content in files.items()]
        place = self.call("POST", "/api/uploads", json={"files": wanted}).json()
        for target in place["files"]:
            put = self._storage.put(target["url"], content=files[target["name"]], headers=target["headers"])
            put.raise_for_status()
        prefix: str = place["prefix"]
        return prefix

    def start(self, prefix: str) -> str:
        answer = self.call("POST", "/api/jobs/packer", json={"prefix": prefix})
        assert answer.status_code == 202
        key: str = answer.json()["id"]
        return key

    def job(self, key: str) -> dict[str, Any]:
        job: dict[str, Any] = self.call("GET", f"/api/jobs/{key}").json()
        return job

    def wait(self, key: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read the job until the condition holds; fails with its last state when it does not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        job = self.job(key)
        while not until(job):
            assert time.monotonic() < deadline, f"still {job}"
            time.sleep(0.05)
            job = self.job(key)
        return job

    def wait_for_end(self, key: str) -> dict[str, Any]:
        return self.wait(key, lambda job: job["status"] in FINAL)

    def download(self, key: str) -> dict[str, bytes]:
        """Return the files of the job's zip."""
        link = self.call("GET", f"/api/jobs/{key}/download").json()["url"]
        content = self._storage.get(link).raise_for_status().content
        with zipfile.ZipFile(io.BytesIO(content)) as zip_file:
            assert zip_file.testzip() is None
            return {name: zip_file.read(name) for name in zip_file.namelist()}
