"""Jobs that stay as they are until the test lets them go: before their start, or in mid-job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from azure.storage.blob import BlobServiceClient

from tests.support.client import Person
from tools.local_stack.stack import Stack

#: More than a block before the place where the job is held, and after it.
_FILES = {f"{number}.bin": bytes([number]) * 3_000_000 for number in range(4)}
_HOLD_ENDING = ".hold"
_HOLD = f"1{_HOLD_ENDING}"


class HeldJob:
    """Starts a job of `ann` that zips `files`, and waits until it runs: it does not end before `let_go`."""

    files = _FILES

    def __init__(self, stack: Stack, ann: Person) -> None:
        self._storage = stack.settings()["BlobsConn"]
        prefix = ann.upload({**_FILES, _HOLD: b"."})
        self._hold = f"{ann.user_id}/{prefix}{_HOLD}"
        self.key = ann.start(prefix)
        ann.wait(self.key, lambda job: job["status"] == "running")

    def let_go(self) -> None:
        with BlobServiceClient.from_connection_string(self._storage) as service:
            service.get_blob_client("uploads", self._hold).delete_blob()

    def results(self) -> list[str]:
        """The names of the zips that its attempts have published."""
        with BlobServiceClient.from_connection_string(self._storage) as service:
            return [blob.name for blob in service.get_container_client("results").list_blobs(self.key)]


@contextmanager
def no_attempt_starts(stack: Stack) -> Iterator[None]:
    """Jobs that are started stay pending, however fast this machine is: each attempt has a row in a locked table."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("lock table queued_jobs.attempt in share row exclusive mode")
        yield


def let_go(stack: Stack, ending: str = _HOLD_ENDING) -> None:
    """Let go of the jobs that wait at files of such names."""
    with BlobServiceClient.from_connection_string(stack.settings()["BlobsConn"]) as service:
        uploads = service.get_container_client("uploads")
        for blob in uploads.list_blobs():
            if blob.name.endswith(ending):
                uploads.delete_blob(blob.name)
