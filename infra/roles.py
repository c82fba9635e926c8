"""The roles of the application; the deployer may grant only these."""

from __future__ import annotations

from typing import Final

BLOB_DATA_OWNER: Final = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
QUEUE_DATA_CONTRIBUTOR: Final = "974c5e8b-45b9-4653-ba55-5f855dd0fb88"
TABLE_DATA_CONTRIBUTOR: Final = "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"
SIGNALR_REST_API_OWNER: Final = "fd53cd77-2268-407a-8f46-7e7863d0f521"
MONITORING_METRICS_PUBLISHER: Final = "3913510d-42f4-4e42-8a64-420c390055eb"

APPLICATION: Final = (
    BLOB_DATA_OWNER,
    QUEUE_DATA_CONTRIBUTOR,
    TABLE_DATA_CONTRIBUTOR,
    SIGNALR_REST_API_OWNER,
    MONITORING_METRICS_PUBLISHER,
)
