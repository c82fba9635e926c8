"""Microsoft's Python worker, as a library in this process: it indexes the app and runs its functions, as in Azure.

What stands between host and worker there, a gRPC proxy that is not published, is left out: messages go straight in.
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

#: What the worker says it can do where the app streams HTTP through a server of its own.
_STREAMING = "HttpUri"


class Worker:
    """The one worker of this process: the library keeps what it knows of an app in its modules."""

    #: Whose it is, and which.
    name = f"Microsoft's Python worker azure-functions-runtime {VERSION}"

    async def start(self, app_dir: Path) -> Sequence[protos.RpcFunctionMetadata]:
        """Import the app and return its functions.

        Raises WorkerRefused with what the worker says of an app that it cannot index. SystemExit of the app passes
        through, as it ends a worker in Azure.
        """
        if str(app_dir) not in sys.path:
            sys.path.append(str(app_dir))  # behind all packages, where Azure has it
        library.start_threadpool_executor()
        request = SimpleNamespace(capabilities={}, function_app_directory=str(app_dir))
        response = await library.worker_init_request(to_worker(worker_init_request=request))
        if (error := cast(protos.WorkerInitResponse, response).result.exception) is not None:
            raise WorkerRefused(error.message, error.stack_trace)
        if _STREAMING in response.capabilities:
            raise HostError("the app streams HTTP (azurefunctions-extensions-http-fastapi), which this host cannot do")
        answer = await library.functions_metadata_request(to_worker())
        return cast(protos.FunctionMetadataResponse, answer).function_metadata_results or ()

    async def invoke(self, request: protos.InvocationRequest) -> protos.InvocationResponse:
        """Run a function. What is an Exception is told in the response; another BaseException is raised, and in Azure
        there is no response then.
        """
        response = await library.invocation_request(to_worker(invocation_request=request))
        return cast(protos.InvocationResponse, response)


def to_worker(**messages: object) -> SimpleNamespace:
    """Put a message, by its kind, into the envelope in which Microsoft's gRPC proxy hands it to the library."""
    return SimpleNamespace(request=SimpleNamespace(**messages), properties={"host": "127.0.0.1", "protos": protos})
