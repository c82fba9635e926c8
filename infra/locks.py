"""Azure locks on the data itself: they also prevent manual deletion, of its server, account and resource group too."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
from pulumi_azure_native import authorization

from infra.deployment import Deployment


def create_locks(deployment: Deployment, resources: Mapping[str, pulumi.CustomResource]) -> list[pulumi.Resource]:
    """Lock these against deletion, in profiles that protect data.

    Azure refuses to delete whatever contains something locked, and whatever is part of it. So the locks are on the
    innermost resources: changes of firewall rules, administrators, roles and queues stay possible. Pulumi deletes a
    lock just before its resource, and after everything that was created after the lock.
    """
    if not deployment.settings.profile.protected:
        return []
    return [
        authorization.ManagementLockByScope(
            f"lock-{name}",
            scope=resource.id,
            lock_name=f"keep-{name}",
            level="CanNotDelete",
            notes="Holds data. To delete it, set deleteProtection to false, run pulumi up, then pulumi destroy.",
            opts=deployment.guarded(),
        )
        for name, resource in resources.items()
    ]
