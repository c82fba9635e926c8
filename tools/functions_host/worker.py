"""Microsoft's Python worker, as a library in this process: it indexes the app and runs its functions, as in Azure.

The gRPC proxy between host and worker in Azure, which is not published, is omitted: messages are passed directly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import azure_functions_runtime as library
from azure_functions_runtime.version import VERSION

from tools.functions_host import protos
from tools.functions_host.errors import HostError, WorkerRefused

#: The worker's capability if the app streams HTTP through its own server.
_STREAMING = "HttpUri"


class Worker:
    """The worker of this process; there can be only one, since the library keeps its state in its modules."""

    #: Vendor, name and version.
    name = f"Microsoft's Python worker azure-functions-runtime {VERSION}"

    async def start(self, app_dir: Path) -> Sequence[protos.RpcFunctionMetadata]:
        """Import the app and return its functions.

        Raises WorkerRefused with the worker's message if it cannot index the app. SystemExit of the app passes
        through, as it ends a worker in Azure.
        """
        if str(app_dir) not in sys.path:
            sys.path.append(str(app_dir))  # after all packages, as in Azure
        library.start_threadpool_executor()
        request = SimpleNamespace(capabilities={}, function_app_directory=str(app_dir))
        response = await library.worker_init_request(to_worker(worker_init_request=request))
        if (error := cast(protos.WorkerInitResponse, response).result.exception) is not None:
            raise WorkerRefused(error.message, error.stack_trace)
        if _STREAMING in response.capabilities:
            raise HostError(
                "the app streams HTTP (azurefunctions-extensions-http-fastapi), which this host does not support"
            )
        response = await library.functions_metadata_request(to_worker())
        return cast(protos.FunctionMetadataResponse, response).function_metadata_results or ()

    async def invoke(self, request: protos.InvocationRequest) -> protos.InvocationResponse:
        """Run a function. An Exception is reported in the response. Any other BaseException is raised; in Azure there
        is not a response in that case.
        """
        response = await library.invocation_request(to_worker(invocation_request=request))
        return cast(protos.InvocationResponse, response)


def to_worker(**messages: object) -> SimpleNamespace:
    """Wrap a message in the envelope that Microsoft's gRPC proxy passes to the library."""
    return SimpleNamespace(request=SimpleNamespace(**messages), properties={"host": "127.0.0.1", "protos": protos})
