"""The application's code as a resource: a new digest is published, and the app is asked until that code answers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

_WHAT_COUNTS = ("digest", "app_id", "scm_url")  # the zip's place on this machine does not


class PackageChanged(Exception):
    """The zip is not the one that the program spoke of."""


class PublishedPackage(Resource):
    """The zip at `zip_path`, running in the app that `scm_url` belongs to: `health_url` answers with its `version`.

    Publishes again when the digest, the app or the SCM site changes. Deleting it does nothing: the code goes with the
    app. A publication that was interrupted is repeated by the next `pulumi up`.

    Attributes
    ----------
    deployment_id
        What the SCM site calls the publication; its log is at `{scm_url}/api/deployments/{deployment_id}/log`.
    """

    deployment_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        scm_url: pulumi.Input[str],
        app_id: pulumi.Input[str],
        zip_path: str,
        digest: str,
        version: str,
        health_url: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "scm_url": scm_url,
            "app_id": app_id,
            "zip_path": zip_path,
            "digest": digest,
            "version": version,
            "health_url": health_url,
            "deployment_id": None,
        }
        super().__init__(_PackageProvider(), name, inputs, opts)


class _PackageProvider(ResourceProvider):
    """Pickled by Pulumi, so the methods import what they need themselves."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=props["app_id"], outs={**props, "deployment_id": _publish(props)})

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs={**props, "deployment_id": _publish(props)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(olds.get(name) != news.get(name) for name in _WHAT_COUNTS))


def _publish(props: dict[str, Any]) -> str:
    from infra.credentials import SCM_SCOPE, deployer_token
    from infra.publish.scm_site import ScmSite
    from infra.running_code import wait_until_it_runs

    path = Path(props["zip_path"])
    if not path.exists():
        raise PackageChanged(f"{path} is gone: something deleted it meanwhile. Run `pulumi up` again.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != props["digest"]:
        raise PackageChanged(
            f"{path} has the digest {found} and not {props['digest']}: something rebuilt it meanwhile. "
            "Run `pulumi up` again."
        )
    with ScmSite(props["scm_url"], token=lambda: deployer_token(SCM_SCOPE)) as site:
        deployment_id = site.publish(content)
    wait_until_it_runs(props["version"], props["health_url"])
    return deployment_id
