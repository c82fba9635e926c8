"""Azure locks on resources with data: they also prevent manual deletion."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization

from infra.deployment import Deployment


def create_locks(deployment: Deployment, resources: dict[str, pulumi.CustomResource], after: pulumi.Resource) -> None:
    """Lock these against deletion. A lock also protects all parts of a resource, such as single queues.

    `after` is the last change to any of them.
    """
    if not deployment.settings.protected:
        return
    for name, resource in resources.items():
        authorization.ManagementLockByScope(
            f"lock-{name}",
            scope=resource.id,
            lock_name=f"keep-{name}",
            level="CanNotDelete",
            notes="Holds data. Set deleteProtection to false, then run pulumi up, to remove this lock.",
            opts=pulumi.ResourceOptions(depends_on=[after]),
        )
