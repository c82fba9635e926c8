"""The processes that run jobs, with the short times of a run: `python -m tools.chaos.programs host|worker APP_DIR`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from unittest import mock

from queued_jobs import Worker, _listener, _upkeep
from tools.chaos import constants
from tools.functions_host.errors import HostError
from tools.functions_host.host import Host, leave
from tools.functions_host.logs import configure_logging

WORKER_STARTED = "worker started"


def main() -> None:
    program, app, *port = sys.argv[1:]
    with (
        mock.patch.object(_upkeep, "STALE", constants.STALE),
        mock.patch.object(_listener, "RETRY_AFTER", constants.REDELIVERY),
    ):
        if program == "host":
            run_host(Path(app), int(port[0]))
        else:
            run_worker(Path(app))


def run_host(app: Path, port: int) -> None:
    """Run the function app in Microsoft's worker, as `tools.functions_host` does."""
    configure_logging()
    host = Host(app, port=port, drain=constants.DRAIN, lease=constants.VISIBILITY)
    try:
        asyncio.run(host.run())
    except HostError as error:
        logging.getLogger("host").error("%s", error)
        leave(1)
    leave(0)


def run_worker(app: Path) -> None:
    """Run the app's kinds in the library's own worker, as `queued-jobs worker` does."""
    sys.path.insert(0, str(app))
    from services import services

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for name in ("azure", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    worker = Worker(
        services().manager,
        sweep_every=constants.SWEEP,
        grace=constants.DRAIN,
        visibility=constants.VISIBILITY,
    )
    asyncio.run(worker.run())


if __name__ == "__main__":
    main()
