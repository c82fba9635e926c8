"""The application's code: built here, published to the app, known by its digest."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi_azure_native import web

from infra.deployment import Deployment
from infra.publish.bundle import PackageError, build
from infra.publish.resource import PublishedPackage

_ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = _ROOT / ".local" / "package" / "app.zip"


def publish_code(deployment: Deployment, app: web.WebApp) -> PublishedPackage:
    """Publish the code as it is in this checkout, and wait until the app answers with it."""
    try:
        bundle = build(_PACKAGE)
    except PackageError as error:
        raise pulumi.RunError(f"The code cannot be packed: {error}") from error
    rehearsal = deployment.settings.rehearsal
    scm = rehearsal.scm_url if rehearsal else deployment.names.scm_site
    site = rehearsal.scm_url if rehearsal else deployment.names.site
    return PublishedPackage(
        "code",
        scm_url=scm,
        app_id=app.id,
        zip_path=str(bundle.path),
        digest=bundle.sha256,
        version=bundle.version,
        health_url=f"{site}/api/health",
        opts=pulumi.ResourceOptions(depends_on=[app]),
    )
