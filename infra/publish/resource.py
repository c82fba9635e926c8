"""The application's code as a resource: publishes a new digest, and waits until the app runs that code."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra.credentials import SCM_SCOPE, deployer_token
from infra.publish.bundle import DEFAULT_OUTPUT, PackageError, build
from infra.publish.scm_site import POLL, PublishFailed, ScmSite, brief, pause_after

logger = logging.getLogger(__name__)

#: Instances with the old code respond until the platform has replaced them.
RUNS_WITHIN = timedelta(minutes=10)

_WHAT_COUNTS = ("digest", "app_id", "scm_url")  # without the zip's path on this machine


class PackageChanged(Exception):
    """The zip was changed after the program built it."""


class PublishedPackage(Resource):
    """The zip at `zip_path`, running in the app of `scm_url`: `health_url` reports its `version`.

    Publishes again when the digest, the app or the SCM site changes. Deleting it does nothing: the code is deleted with
    the app. The next `pulumi up` repeats an interrupted publication.

    Attributes
    ----------
    deployment_id
        The SCM site's id of the publication; its log is at `{scm_url}/api/deployments/{deployment_id}/log`.
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


def publish_code(
    *, app_id: pulumi.Input[str], scm_url: str, site: str, opts: pulumi.ResourceOptions
) -> PublishedPackage:
    """Publish the code of this checkout, and wait until the app runs it."""
    try:
        bundle = build(DEFAULT_OUTPUT)
    except PackageError as error:
        raise pulumi.RunError(f"The code cannot be packaged: {error}") from error
    return PublishedPackage(
        "code",
        scm_url=scm_url,
        app_id=app_id,
        zip_path=str(bundle.path),
        digest=bundle.sha256,
        version=bundle.version,
        health_url=f"{site}/api/health",
        opts=opts,
    )


class _PackageProvider(ResourceProvider):
    """Pickled by Pulumi, so the methods import what they need themselves.

    States contain the name of this class and of its module: see tests/infra/test_providers.py.
    """

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=props["app_id"], outs={**props, "deployment_id": _publish(props)})

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        return UpdateResult(outs={**props, "deployment_id": _publish(props)})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(olds.get(name) != news.get(name) for name in _WHAT_COUNTS))


def _publish(props: dict[str, Any]) -> str:
    path = Path(props["zip_path"])
    if not path.exists():
        raise PackageChanged(f"{path} was deleted after it was built. Run `pulumi up` again.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != props["digest"]:
        raise PackageChanged(
            f"{path} has the digest {found}, not {props['digest']}: it was rebuilt in the meantime. "
            "Run `pulumi up` again."
        )
    with ScmSite(props["scm_url"], token=lambda: deployer_token(SCM_SCOPE)) as site:
        deployment_id = site.publish(content)
    wait_until_it_runs(props["version"], props["health_url"])
    return deployment_id


def wait_until_it_runs(
    version: str,
    url: str,
    *,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Poll the app's health until it is ok with this version. Raises `PublishFailed` after `RUNS_WITHIN`."""
    deadline = clock() + RUNS_WITHIN.total_seconds()
    with httpx.Client(timeout=60, transport=transport) as client:
        while True:
            last: httpx.Response | httpx.TransportError
            try:
                last = client.get(url)
            except httpx.TransportError as error:
                last = error
            if isinstance(last, httpx.Response) and last.is_success:
                found = _version_of(last)
                if found == version:
                    return
                state = f"still runs other code ({found or 'without a version'})"
                remedy = "Restart the app in the portal"
            else:
                state = f"is not healthy: {brief(last)}"
                remedy = "Check the app's log stream and fix the cause"
            if clock() > deadline:
                minutes = RUNS_WITHIN.total_seconds() / 60
                raise PublishFailed(
                    f"Version {version} is deployed, but after {minutes:.0f} minutes {url} {state}. "
                    f"{remedy}, then run `pulumi up` again."
                )
            logger.warning("%s %s", url, state)
            sleep(pause_after(last, POLL))


def _version_of(response: httpx.Response) -> str | None:
    try:
        health = response.json()
    except ValueError:
        return None
    version = health.get("version") if isinstance(health, dict) else None
    return version if isinstance(version, str) else None
