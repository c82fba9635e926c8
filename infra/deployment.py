"""The context of a deployment, and the base class of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import pulumi
from pulumi_azure_native import authorization, resources
from pulumi_azure_native.provider import Provider

from infra.naming import Names
from infra.placement import Placement
from infra.settings import StackSettings

#: Types that hold data, that are needed to reach it, or that lock it: protected in production.
_PROTECTED: Final = frozenset(
    f"azure-native:{name}"
    for name in (
        "applicationinsights:Component",
        "authorization:ManagementLockByScope",
        "dbforpostgresql:Database",
        "dbforpostgresql:Server",
        "managedidentity:UserAssignedIdentity",
        "operationalinsights:Workspace",
        "resources:ResourceGroup",
        "storage:BlobContainer",
        "storage:StorageAccount",
        "web:WebApp",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A stack in a subscription, its provider and its resource group."""

    settings: StackSettings
    names: Names
    subscription_id: str
    tenant_id: str
    provider: Provider
    group: resources.ResourceGroup

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may use API, hub and blobs: the app's own, and the configured ones."""
        return [self.names.site, *self.settings.allowed_origins]


class Part(pulumi.ComponentResource):
    """A part of a deployment, which contains the resources for one concern.

    States contain the names of the classes.
    """

    def __init__(self, name: str, deployment: Deployment) -> None:
        options = pulumi.ResourceOptions(providers=[deployment.provider])
        super().__init__(f"infra:index:{type(self).__name__}", name, {}, options)
        self.deployment = deployment

    def child(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource of this part, which is created after `after`."""
        return pulumi.ResourceOptions(parent=self, depends_on=list(after))

    def lock(self, name: str, resource: pulumi.CustomResource) -> None:
        """Lock it against deletion, in profiles that protect data: also against a manual one, and of its group.

        Azure refuses to delete whatever contains something locked, and whatever is part of it. So only the innermost
        resources are locked: changes of firewall rules, administrators, roles and queues stay possible. Pulumi deletes
        a lock just before its resource, and after everything that was created after the lock.
        """
        if self.deployment.settings.profile.protected:
            authorization.ManagementLockByScope(
                f"lock-{name}",
                scope=resource.id,
                lock_name=f"keep-{name}",
                level="CanNotDelete",
                notes="Holds data. To delete it, set deleteProtection to false, run pulumi up, then pulumi destroy.",
                opts=self.child(),
            )


def begin_deployment() -> Deployment:
    """Read the configuration and create the resource group. Raises `ConfigError` before creating anything."""
    settings = StackSettings.from_config(pulumi.Config(), pulumi.Config("azure-native"), stack=pulumi.get_stack())
    client = authorization.get_client_config()
    names = Names(
        project=pulumi.get_project(),
        stack=pulumi.get_stack(),
        subscription_id=client.subscription_id,
        generation=settings.generation,
    )
    own = {"project": names.project, "stack": names.stack, "managed-by": "pulumi"}
    pulumi.runtime.register_stack_transformation(partial(_share_options, settings, {**settings.tags, **own}))
    placement = Placement(
        "placement",
        location=settings.location,
        subscription_id=client.subscription_id,
        generation=settings.generation,
    )
    provider = Provider(
        "azure",
        location=settings.location,
        subscription_id=client.subscription_id,
        opts=pulumi.ResourceOptions(depends_on=[placement]),
    )
    group = resources.ResourceGroup(
        "group",
        resource_group_name=names.resource_group,
        opts=pulumi.ResourceOptions(provider=provider, depends_on=[placement]),
    )
    return Deployment(
        settings=settings,
        names=names,
        subscription_id=client.subscription_id,
        tenant_id=client.tenant_id,
        provider=provider,
        group=group,
    )


def _share_options(
    settings: StackSettings, tags: dict[str, str], resource: pulumi.ResourceTransformationArgs
) -> pulumi.ResourceTransformationResult:
    """Tag and protect each resource as its type requires, and recognize it in states from before there were parts."""
    props = {**resource.props, "tags": tags} if "tags" in resource.props else resource.props
    shared = pulumi.ResourceOptions(protect=settings.protected and resource.type_ in _PROTECTED)
    if isinstance(resource.opts.parent, Part):
        shared.aliases = [pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]
    return pulumi.ResourceTransformationResult(props, pulumi.ResourceOptions.merge(resource.opts, shared))
