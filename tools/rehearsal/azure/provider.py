"""The plugin that replaces azure-native: it checks inputs, and keeps its resources in a file."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.empty_pb2 import Empty  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tools.rehearsal.azure import arguments
from tools.rehearsal.azure.cloud import Cloud, Refused
from tools.rehearsal.azure.kinds import SUBSCRIPTION, TENANT, Kind, kind_of
from tools.rehearsal.azure.wire import UNKNOWN, Properties, decode, encode, has_unknown, is_unknown
from tools.rehearsal.plugin import serve

VERSION = "3.29.0"
CLOUD_FOLDER = "REHEARSAL_CLOUD"
_ANOTHER_ONE = frozenset({"location", "kind", "administratorLogin", "principalId", "roleDefinitionId"})
_CLIENT = {
    "clientId": "33333333-3333-3333-3333-333333333333",
    "objectId": "44444444-4444-4444-4444-444444444444",
    "subscriptionId": SUBSCRIPTION,
    "tenantId": TENANT,
}


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one run of the engine. The method names are defined by the protocol."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._location = ""

    def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return Empty()

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetMapping(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.GetMappingsResponse()

    def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, _context: Any) -> Any:  # noqa: N802
        self._location = decode(request.args).get("location", "")
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        self._cloud.cancel()  # the engine has noticed Ctrl-C, and begins nothing more
        return Empty()

    def Invoke(self, request: Any, _context: Any) -> Any:  # noqa: N802
        if request.tok == "azure-native:authorization:getClientConfig":
            return provider_pb2.InvokeResponse(**{"return": encode(_CLIENT)})
        reason = f"The emulator does not support {request.tok}: a keyless stack only asks Azure who deploys."
        return provider_pb2.InvokeResponse(failures=[provider_pb2.CheckFailure(reason=reason)])

    def Check(self, request: Any, _context: Any) -> Any:  # noqa: N802
        token, news, olds = _token(request.urn), decode(request.news), decode(request.olds)
        kind = kind_of(token)
        if kind is None or arguments.resource_class(token) is None:
            reason = f"The emulator does not support {token}; add it to tools/rehearsal/azure/kinds.py."
            return provider_pb2.CheckResponse(failures=[provider_pb2.CheckFailure(reason=reason)])
        self._fill_in(token, kind, request.urn, news, olds)
        failures = [
            provider_pb2.CheckFailure(property=path, reason=f"{path} {reason}")
            for path, reason in (*arguments.problems(token, news), *_name_problems(kind, news))
        ]
        return provider_pb2.CheckResponse(inputs=encode(news), failures=failures)

    def Diff(self, request: Any, _context: Any) -> Any:  # noqa: N802
        old, new = decode(request.old_inputs), decode(request.news)
        for path in request.ignoreChanges:
            _copy(old, new, path.split("[")[0].split("."))
        changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
        kind = _known(request.urn)
        replacing = [name for name in changed if name in kind.names or name in _ANOTHER_ONE]
        property_diff = provider_pb2.PropertyDiff
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=replacing,
            # a fixed name is in use until the old resource is deleted
            deleteBeforeReplace=bool(replacing),
            hasDetailedDiff=True,
            detailedDiff={
                name: property_diff(
                    kind=property_diff.UPDATE_REPLACE if name in replacing else property_diff.UPDATE, inputDiff=True
                )
                for name in changed
            },
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs, kind = decode(request.properties), _known(request.urn)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(_preview(request.urn, kind, inputs)))
        id_ = kind.id_of(inputs)
        try:
            response = self._cloud.create(request.urn, kind, id_, inputs)
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.CreateResponse(id=id_, properties=encode(_outputs(request.urn, response)))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs, kind = decode(request.news), _known(request.urn)
        if request.preview:
            known = _of_another_shape(inputs) if has_unknown(inputs) else kind.computed(inputs, request.id)
            return provider_pb2.UpdateResponse(properties=encode({**decode(request.olds), **inputs, **known}))
        try:
            response = self._cloud.update(request.urn, kind, request.id, inputs)
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return provider_pb2.UpdateResponse(properties=encode(_outputs(request.urn, response)))

    def Read(self, request: Any, _context: Any) -> Any:  # noqa: N802
        found = self._cloud.resources().get(request.id)
        if found is None:
            return provider_pb2.ReadResponse()  # without an id: it does not exist
        properties, inputs = _outputs(request.urn, found["response"]), found["inputs"]
        return provider_pb2.ReadResponse(id=request.id, properties=encode(properties), inputs=encode(inputs))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            self._cloud.delete(request.urn, request.id)
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return Empty()

    def _fill_in(self, token: str, kind: Kind, urn: str, news: Properties, olds: Properties) -> None:
        """Add what the real provider adds: a name, and the configured location."""
        own = kind.names[-1]
        if news.get(own) is None and own not in ("scope", "resourceGroupName"):
            news[own] = olds.get(own) or _automatic_name(token, urn)
        if news.get("location") is None and arguments.accepts(token, "location") and self._location:
            news["location"] = olds.get("location") or self._location


def _copy(old: Properties, new: Properties, path: list[str]) -> None:
    """Give the new properties the value that the old ones have at this path."""
    name, *rest = path
    if rest and isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
        _copy(old[name], new[name], rest)
    elif not rest and name in old:
        new[name] = old[name]
    elif not rest:
        new.pop(name, None)


def _token(urn: str) -> str:
    return urn.split("::")[2].split("$")[-1]


def _known(urn: str) -> Kind:
    kind = kind_of(_token(urn))
    if kind is None:
        raise LookupError(f"{urn} passed its check, but its kind is unknown")
    return kind


def _automatic_name(token: str, urn: str) -> str:
    logical = urn.split("::")[-1]
    if token.endswith((":RoleAssignment", ":Workbook")):
        return str(uuid.uuid5(uuid.NAMESPACE_URL, urn))
    suffix = hashlib.sha256(urn.encode()).hexdigest()[:8]
    if token.endswith(":StorageAccount"):
        return re.sub(r"[^a-z0-9]", "", logical.lower())[:16] + suffix
    return f"{logical}{suffix}"


def _name_problems(kind: Kind, inputs: Properties) -> list[tuple[str, str]]:
    name = kind.names[-1] if kind.names else ""
    value = inputs.get(name)
    if kind.rule is None or value is None or is_unknown(value):
        return []
    pattern, words = kind.rule
    return [] if re.fullmatch(pattern, str(value)) else [(name, f"is {value!r}, but must be {words}")]


def _outputs(urn: str, response: Properties) -> Properties:
    """Return the part of the response that the SDK declares."""
    names = set(arguments.output_names(_token(urn)))
    return {name: value for name, value in response.items() if name in names and value is not None}


def _preview(urn: str, kind: Kind, inputs: Properties) -> Properties:
    """Return the outputs before the resource exists: its inputs, and marks for values that only Azure knows."""
    unknown = dict.fromkeys(arguments.output_names(_token(urn)), UNKNOWN)
    known = {name: value for name, value in inputs.items() if name in unknown}
    name = inputs.get(kind.names[-1])
    return {**unknown, **known, **_of_another_shape(inputs), "type": kind.type} | (
        {} if name is None else {"name": inputs.get("name", name)}
    )


def _of_another_shape(inputs: Properties) -> Properties:
    """Return marks for inputs that are lists and whose outputs are maps."""
    return {"identity": UNKNOWN} if "userAssignedIdentities" in (inputs.get("identity") or {}) else {}


def main() -> None:
    """Serve the engine that started this process."""
    provider = Provider(Cloud(Path(os.environ[CLOUD_FOLDER])))
    serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server))


if __name__ == "__main__":
    main()
