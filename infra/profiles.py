"""The sizes of the two profiles: change them here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Sizes and safeguards of a stack.

    Attributes
    ----------
    always_ready
        Instances for HTTP that are always running. They cost money permanently, and avoid cold starts.
    max_instances
        Maximum instances of the function app per trigger. Each opens a few connections to the database.
    database_size, database_tier, max_connections
        The SKU of the server, the tier that it belongs to (`Burstable`, `GeneralPurpose`, `MemoryOptimized`), and how
        many connections that SKU allows, without the connections reserved by Azure. Change them together.
    database_gigabytes
        Size of the server's disk. It grows automatically, and never shrinks.
    keep_backups, keep_files, keep_logs
        Retention times; a restore can go back as far as the backups.
    log_gigabytes_per_day
        Daily cap on logs, so that a loop cannot cause high costs; None for no cap.
    protected
        Resources with data cannot be deleted, by Pulumi or manually, unless `deleteProtection` is false.
    """

    name: str
    always_ready: int
    max_instances: int
    instance_memory: int
    database_size: str
    database_tier: str
    database_gigabytes: int
    max_connections: int
    zone_redundant: bool
    keep_backups: timedelta
    geo_redundant_backups: bool
    storage_redundancy: str
    hub_size: str
    hub_tier: str
    hub_units: int
    keep_files: timedelta
    keep_logs: timedelta
    log_gigabytes_per_day: float | None
    protected: bool


DEV: Final = Profile(
    name="dev",
    always_ready=0,
    max_instances=40,
    instance_memory=2048,
    database_size="Standard_B1ms",
    database_tier="Burstable",
    database_gigabytes=32,
    max_connections=35,
    zone_redundant=False,
    keep_backups=timedelta(days=7),
    geo_redundant_backups=False,
    storage_redundancy="Standard_LRS",
    hub_size="Free_F1",
    hub_tier="Free",
    hub_units=1,
    keep_files=timedelta(days=30),
    keep_logs=timedelta(days=30),
    log_gigabytes_per_day=1,
    protected=False,
)

PROD: Final = Profile(
    name="prod",
    always_ready=1,
    max_instances=100,
    instance_memory=2048,
    database_size="Standard_D2ds_v5",
    database_tier="GeneralPurpose",
    database_gigabytes=64,
    max_connections=844,
    zone_redundant=True,
    keep_backups=timedelta(days=14),
    geo_redundant_backups=False,
    storage_redundancy="Standard_ZRS",
    hub_size="Standard_S1",
    hub_tier="Standard",
    hub_units=1,
    keep_files=timedelta(days=30),
    keep_logs=timedelta(days=90),
    log_gigabytes_per_day=None,
    protected=True,
)

PROFILES: Final = {profile.name: profile for profile in (DEV, PROD)}
