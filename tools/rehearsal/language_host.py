"""Runs Python programs for the engine, if Pulumi's own language host is not installed.

Pulumi's own is a Go module that package registries do not offer. It does little: it lists the plugins that the
installed packages need, and starts Pulumi's own `pulumi-language-python-exec`, which is next to the engine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from tools.rehearsal.plugin import serve

EXECUTOR = "pulumi-language-python-exec"
ENDED_AFTER_MESSAGE = 32  # the executor's exit code if it has printed the reason already


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Serves one engine."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._program: subprocess.Popen[bytes] | None = None

    def Handshake(self, request: Any, _context: Any) -> Any:  # noqa: N802 (names of the protocol)
        self._engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="1.0.0")

    def GetRequiredPackages(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return language_pb2.GetRequiredPackagesResponse(packages=_required_packages())

    def GetProgramDependencies(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        found = [language_pb2.DependencyInfo(name=each.name, version=each.version) for each in distributions()]
        return language_pb2.GetProgramDependenciesResponse(dependencies=found)

    def About(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Run(self, request: Any, _context: Any) -> Any:  # noqa: N802
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        self._program = subprocess.Popen(_command(request, self._engine_address), env=environment)
        code = self._program.wait()
        if code == ENDED_AFTER_MESSAGE:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}" if code else "")

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        self.end_program()
        return Empty()

    def end_program(self) -> None:
        """Terminate the running program, if any."""
        if self._program is not None and self._program.poll() is None:
            self._program.terminate()


def _command(request: Any, engine_address: str) -> list[str]:
    executor = shutil.which(EXECUTOR)
    if executor is None:
        raise FileNotFoundError(f"{EXECUTOR} is not on PATH: it is installed beside the engine")
    options = {
        "monitor": request.monitor_address,
        "engine": engine_address,
        "project": request.project,
        "root_directory": request.info.root_directory,
        "stack": request.stack,
        "pwd": request.pwd,
        "dry_run": "true" if request.dryRun else "false",
        "parallel": str(request.parallel),
        "organization": request.organization,
    }
    arguments = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return [sys.executable, executor, *arguments, request.info.entry_point, *request.args]


def _required_packages() -> list[Any]:
    """Return the plugins that installed packages name in their `pulumi-plugin.json`."""
    # without the lists of installed files, whose reading takes a second in each run of the engine
    files = [file for folder in sys.path for file in sorted(Path(folder).glob("*/pulumi-plugin.json"))]
    plugins = [json.loads(file.read_text()) for file in files]
    return [
        plugin_pb2.PackageDependency(
            name=plugin["name"], version=f"v{plugin['version'].removeprefix('v')}", kind="resource"
        )
        for plugin in plugins
        if plugin.get("resource")
    ]


def main() -> None:
    """Serve the engine whose address is the last argument."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(addresses[0] if addresses else "")
    serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server), at_end=host.end_program)


if __name__ == "__main__":
    main()
