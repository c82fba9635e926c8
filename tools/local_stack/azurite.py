"""Azurite, the emulator of Azure's blob and queue storage, as a server of the local run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tools.local_stack import ports
from tools.local_stack.errors import Missing
from tools.local_stack.node import find_node
from tools.local_stack.process import Command, Emit, discard
from tools.local_stack.server import Server

SCRIPT = Path(__file__).parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
ACCOUNT_NAME = "devstoreaccount1"
# Public and the same in every Azurite: not a secret.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class AzuriteServer(Server):
    """Keeps its data in `folder`, or in memory (gone when it stops) where that is None."""

    def __init__(self, folder: Path | None, *, emit: Emit = discard) -> None:
        super().__init__("azurite", ports_needed=3, emit=emit)
        self._folder = folder

    @property
    def blob_endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[0]}/{ACCOUNT_NAME}"

    @property
    def queue_endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[1]}/{ACCOUNT_NAME}"

    @property
    def table_endpoint(self) -> str:
        return f"http://{ports.LOOPBACK}:{self.ports[2]}/{ACCOUNT_NAME}"

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT_NAME};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.blob_endpoint};QueueEndpoint={self.queue_endpoint};TableEndpoint={self.table_endpoint};"
        )

    def _command(self) -> Command:
        if not SCRIPT.exists():
            raise Missing(f"Azurite is not installed ({SCRIPT} is missing); run scripts/dev, which installs it")
        blob, queue, table = map(str, self.ports)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        return Command(
            arguments=[
                *(find_node(), str(SCRIPT), "--silent", "--disableTelemetry", "--disableProductStyleUrl"),
                "--skipApiVersionCheck",  # the SDKs use a newer version than it supports
                *("--blobHost", ports.LOOPBACK, "--queueHost", ports.LOOPBACK, "--tableHost", ports.LOOPBACK),
                *("--blobPort", blob, "--queuePort", queue, "--tablePort", table),
                *(["--inMemoryPersistence"] if self._folder is None else ["-l", str(self._folder)]),
            ],
            environment=os.environ,
            folder=SCRIPT.parent,
            death_signal=signal.SIGTERM,  # it keeps the newest changes in memory only
        )

    def _is_ready(self) -> bool:
        return all(ports.is_listening(port) for port in self.ports)
