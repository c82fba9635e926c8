"""A zip of any size takes the memory of a few pieces."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

from azure.storage.blob import BlobServiceClient

from archive import Archive, BlockWriter
from tools.local_stack.azurite import AzuriteServer

MIB = 1024 * 1024


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield os.urandom(MIB)


def test_a_large_zip_is_never_held_whole(azurite: AzuriteServer) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        container = service.create_container(f"memory-{uuid4().hex[:12]}")
        writer = BlockWriter(container.get_blob_client("large.zip"))
        tracemalloc.start()
        try:
            with Archive.writing(writer) as archive:
                archive.add("large.bin", datetime(2026, 1, 1, tzinfo=UTC), pieces(64))
            writer.commit(content_type="application/zip", metadata={})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert writer.size > 64 * MIB
        assert peak < 32 * MIB
        container.delete_container()
