"""The process in which the program runs: reads cases from standard input, prints one line of JSON for all of them."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import runpy
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi.runtime
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.stack import wait_for_rpcs

SUBSCRIPTION = "11111111-1111-4111-8111-111111111111"
TENANT = "22222222-2222-4222-8222-222222222222"
#: The input that becomes the output `name`.
NAMED_BY = {
    "resources:ResourceGroup": "resourceGroupName",
    "storage:StorageAccount": "accountName",
    "managedidentity:UserAssignedIdentity": "resourceName",
    "signalrservice:SignalR": "resourceName",
    "dbforpostgresql:Server": "serverName",
    "privatedns:PrivateZone": "privateZoneName",
    "network:PrivateEndpoint": "privateEndpointName",
}


class Cloud(Mocks):
    """Answers as Azure does; in a preview without what only Azure could know."""

    def __init__(self, *, preview: bool) -> None:
        self.preview = preview
        self.dependencies: dict[str, list[str]] = {}
        self.secrets: dict[str, list[str]] = {}
        self.protected: dict[str, bool] = {}
        self.ignored: dict[str, list[str]] = {}
        self.flat: dict[str, bool] = {}
        self.parts: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom:
            self.parts[args.name] = args.typ
            return "", args.inputs
        before = [urn.rpartition("::")[2] for urn in self.dependencies[args.name]]
        after = {one: None for one in before}
        for earlier in self.asked:
            if earlier["name"] in before:
                after |= dict.fromkeys(earlier["after"])
        inputs = _revealed(args.inputs)
        self.asked.append({"type": args.typ, "name": args.name, "inputs": inputs, "after": list(after)})
        self.asked[-1] |= {"protected": self.protected[args.name], "ignored": self.ignored[args.name]}
        self.asked[-1]["flat"] = self.flat[args.name]
        if self.preview:
            # the app's identities are asked for as a list and answered as a map: unknown until then
            return "", {key: value for key, value in args.inputs.items() if key != "identity"}
        state = {**args.inputs, **_answer(args)}
        state |= {name: pulumi.Output.secret(state[name]) for name in self.secrets[args.name]}
        return f"/subscriptions/{SUBSCRIPTION}/{args.typ}/{args.name}", state

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token.endswith(":getClientConfig"):
            return {"clientId": "c", "objectId": "o", "subscriptionId": SUBSCRIPTION, "tenantId": TENANT}, []
        raise AssertionError(f"the program calls {args.token}")


class Monitor(MockMonitor):
    """Also tells what mocks are not told: what a resource waits for, what it was called, which outputs are secret."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._cloud = cloud

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the name of the remote procedure)
        if request.custom:
            self._cloud.dependencies[request.name] = list(request.dependencies)
            self._cloud.protected[request.name] = request.protect
            self._cloud.ignored[request.name] = list(request.ignoreChanges)
            self._cloud.secrets[request.name] = list(request.additionalSecretOutputs)
            flat = "$" not in request.parent or any(alias.spec.noParent for alias in request.aliases)
            self._cloud.flat[request.name] = flat
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


async def run(case: dict[str, Any]) -> dict[str, Any]:
    """Run the program once."""
    cloud = Cloud(preview=case["preview"])
    exported: dict[str, pulumi.Output[Any]] = {}
    pulumi.export = lambda name, value: exported.update({name: pulumi.Output.from_input(value)})
    pulumi.runtime.set_mocks(
        cloud, project=case["project"], stack=case["stack"], preview=case["preview"], monitor=Monitor(cloud)
    )
    pulumi.runtime.set_all_config(
        {key if ":" in key else f"{case['project']}:{key}": value for key, value in case["config"].items()}
    )
    told: dict[str, dict[str, Any]] = {"outputs": {}, "secret_outputs": {}}
    error = None
    try:
        runpy.run_path("__main__.py", run_name="__main__")
        await wait_for_rpcs()
        for name, value in exported.items():
            told["secret_outputs" if await value.is_secret() else "outputs"][name] = await value.future()
    except pulumi.RunError as exc:
        error = str(exc)
    return {"asked": cloud.asked, "parts": cloud.parts, "error": error, **told}


def _revealed(value: Any) -> Any:
    """Return a value without the wrapping in which secrets travel."""
    if isinstance(value, dict):
        return (
            _revealed(value["value"]) if rpc._special_sig_key in value else {k: _revealed(v) for k, v in value.items()}
        )
    return [_revealed(inner) for inner in value] if isinstance(value, list) else value


def _answer(args: MockResourceArgs) -> dict[str, Any]:
    """Return what Azure adds to a resource of this type."""
    inputs, kind = args.inputs, args.typ.removeprefix("azure-native:")
    added: dict[str, Any] = {}
    if kind in NAMED_BY:
        added["name"] = inputs[NAMED_BY[kind]]
    match kind:
        case "managedidentity:UserAssignedIdentity":
            added |= {key: str(uuid.uuid5(uuid.NAMESPACE_OID, key)) for key in ("principalId", "clientId")}
        case "signalrservice:SignalR":
            added["hostName"] = f"{added['name']}.service.signalr.net"
        case "dbforpostgresql:Server":
            added["fullyQualifiedDomainName"] = f"{added['name']}.postgres.database.azure.com"
        case "applicationinsights:Component":
            added["connectionString"] = "InstrumentationKey=0;IngestionEndpoint=https://westeurope.example.com/"
        case "web:WebApp":
            identities: dict[str, Any] = {id_: {} for id_ in inputs["identity"]["userAssignedIdentities"]}
            added["defaultHostName"] = f"{inputs['name']}.azurewebsites.net"
            added["identity"] = {**inputs["identity"], "userAssignedIdentities": identities}
        case _ if args.name == "invite-links":
            for number, name in enumerate(("invite", "admin_invite", "session")):
                added[name] = f"hidden-{number}-x{hashlib.sha256(name.encode()).hexdigest()}"
        case _ if args.name == "code":
            added["deployment_id"] = "deployment-1"
    return added


def main() -> None:
    """Run all cases as Pulumi's language host does: the folder of the program first on the path, and nothing else."""
    sys.path[0] = str(Path.cwd())
    published_code = importlib.import_module("infra.publish.resource")
    # building the package takes a minute, and has tests of its own
    bundle = SimpleNamespace(path=Path("app.zip"), sha256="a" * 64, version="b" * 64)
    published_code.build = lambda _output: bundle  # type: ignore[attr-defined]
    answers = [asyncio.run(run(case)) for case in json.load(sys.stdin)]
    print(json.dumps(answers, default=str))  # noqa: T201 (the answer to the process that asked)


if __name__ == "__main__":
    main()
