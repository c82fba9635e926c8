"""What may lie around after a run: messages on queues."""

from __future__ import annotations

from azure.core.exceptions import AzureError
from azure.storage.queue import QueueServiceClient

from tools.chaos.world import World


def count_messages(world: World) -> dict[str, int]:
    """Return how many messages, hidden ones included, lie on each queue that has some."""
    found: dict[str, int] = {}
    with QueueServiceClient.from_connection_string(world.azurite.connection_string, retry_total=1) as service:
        for queue in list(service.list_queues()):
            try:
                count = service.get_queue_client(queue.name).get_queue_properties().approximate_message_count
            except AzureError:
                continue
            if count:
                found[queue.name] = count
    return found
