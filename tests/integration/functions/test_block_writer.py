"""Blobs that are written block by block: two writers of one name, and replies that get lost."""

from __future__ import annotations

from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient

from archive import BlockWriter
from storage import RESULTS, blob_service
from tests.integration.functions.conftest import Site

_LARGE = 5 * 1024**2


@pytest.fixture
def blob(site: Site) -> BlobClient:
    return blob_service().get_blob_client(RESULTS, f"{uuid4()}/one.bin")


def written(blob: BlobClient, letter: bytes) -> BlockWriter:
    """A writer that has sent a block and holds the beginning of the next."""
    writer = BlockWriter(blob)
    writer.write(letter * _LARGE)
    return writer


def commit(writer: BlockWriter) -> None:
    writer.commit(content_type="application/octet-stream", metadata={})


def test_the_first_commit_counts(blob: BlobClient) -> None:
    first, second = written(blob, b"a"), written(blob, b"b")
    commit(first)
    with pytest.raises(ResourceExistsError):
        commit(second)
    assert blob.download_blob().readall() == b"a" * _LARGE


def test_blocks_of_two_writers_never_mix(blob: BlobClient) -> None:
    """One freezes between two blocks, and goes on while the other one is at the same place."""
    frozen, winner = written(blob, b"a"), written(blob, b"b")
    frozen.write(b"a" * _LARGE)
    commit(winner)
    assert blob.download_blob().readall() == b"b" * _LARGE


def test_a_commit_whose_reply_was_lost_counts(blob: BlobClient) -> None:
    writer = written(blob, b"a")
    commit(writer)
    commit(writer)  # as the client does by itself where no answer comes
    assert blob.download_blob().readall() == b"a" * _LARGE


def test_what_somebody_else_uploaded_stays(blob: BlobClient) -> None:
    blob.upload_blob(b"theirs")
    writer = written(blob, b"a")
    with pytest.raises(ResourceExistsError):
        commit(writer)
    assert blob.download_blob().readall() == b"theirs"
