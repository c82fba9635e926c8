"""The context of a deployment, shared by all parts of the program."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_azure_native import resources
from pulumi_azure_native.authorization import get_client_config

from infra.naming import Names
from infra.placement import Placement
from infra.settings import StackSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A stack in a subscription, and its resource group."""

    settings: StackSettings
    names: Names
    subscription_id: str
    tenant_id: str
    group: resources.ResourceGroup

    @property
    def origins(self) -> list[str]:
        """The origins whose pages may use API, hub and blobs: the app's own, and the configured ones."""
        return [self.names.site, *self.settings.allowed_origins]

    def guarded(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        """Return the options of a resource that holds data, or that is needed to reach it."""
        return pulumi.ResourceOptions(protect=self.settings.protected, depends_on=list(after))


def _tag(
    tags: dict[str, str], resource: pulumi.ResourceTransformationArgs
) -> pulumi.ResourceTransformationResult | None:
    """Tag each resource of a type that has tags."""
    if "tags" not in resource.props:
        return None
    return pulumi.ResourceTransformationResult(props={**resource.props, "tags": tags}, opts=resource.opts)


def begin_deployment() -> Deployment:
    """Read the configuration and create the resource group. Raises `ConfigError` before creating anything."""
    settings = StackSettings.from_config(pulumi.Config(), pulumi.Config("azure-native"), stack=pulumi.get_stack())
    client = get_client_config()
    names = Names(
        project=pulumi.get_project(),
        stack=pulumi.get_stack(),
        subscription_id=client.subscription_id,
        generation=settings.generation,
    )
    placement = Placement(
        "placement",
        location=settings.location,
        subscription_id=client.subscription_id,
        generation=settings.generation,
    )
    own = {"project": names.project, "stack": names.stack, "managed-by": "pulumi"}
    pulumi.runtime.register_stack_transformation(partial(_tag, {**settings.tags, **own}))
    group = resources.ResourceGroup(
        "group",
        resource_group_name=names.resource_group,
        opts=pulumi.ResourceOptions(protect=settings.protected, depends_on=[placement]),
    )
    return Deployment(
        settings=settings,
        names=names,
        subscription_id=client.subscription_id,
        tenant_id=client.tenant_id,
        group=group,
    )
