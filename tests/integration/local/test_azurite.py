"""Azurite keeps blobs and messages in its folder, also when it is killed a while after they came."""

from __future__ import annotations

from pathlib import Path

from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tools.local_stack.azurite import AzuriteServer


def test_blobs_and_messages_survive_a_restart(tmp_path: Path) -> None:
    server = AzuriteServer(tmp_path / "azurite")
    server.start()
    try:
        with BlobServiceClient.from_connection_string(server.connection_string) as blobs:
            blobs.create_container("kept").upload_blob("a blob", b"content")
        with QueueServiceClient.from_connection_string(server.connection_string) as queues:
            queues.create_queue("kept").send_message("a message")
        server.stop()
        server.start()
        with BlobServiceClient.from_connection_string(server.connection_string) as blobs:
            assert blobs.get_blob_client("kept", "a blob").download_blob().readall() == b"content"
        with QueueServiceClient.from_connection_string(server.connection_string) as queues:
            assert [message.content for message in queues.get_queue_client("kept").peek_messages()] == ["a message"]
    finally:
        server.stop()


def test_one_without_a_folder_forgets(azurite: AzuriteServer) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        blobs.create_container("forgotten")
        azurite.stop()
        azurite.start()
        assert not blobs.get_container_client("forgotten").exists()
