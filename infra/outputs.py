"""The outputs of a stack: addresses and names. The invite links are marked as secret."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import web

from infra.database import Database
from infra.deployment import Deployment
from infra.invite_links import InviteLinks
from infra.publish.resource import PublishedPackage


def export_outputs(
    deployment: Deployment, app: web.WebApp, database: Database, code: PublishedPackage, links: InviteLinks | None
) -> None:
    """Export the outputs for users and scripts."""
    names = deployment.names
    portal = f"https://portal.azure.com/#@{deployment.tenant_id}/resource/subscriptions/{deployment.subscription_id}"
    outputs: dict[str, pulumi.Input[str]] = {
        "siteUrl": pulumi.Output.concat("https://", app.default_host_name),
        "resourceGroup": names.resource_group,
        "portalUrl": f"{portal}/resourceGroups/{names.resource_group}",
        "functionApp": names.function_app,
        "storageAccount": names.storage_account,
        "databaseHost": database.host,
        "deploymentId": code.deployment_id,
    }
    if links is not None:
        # in the fragment, so that they reach the page but no server log
        outputs["openUrl"] = pulumi.Output.format("{}/#invite={}", names.site, links.invite)
        outputs["adminUrl"] = pulumi.Output.format("{}/#invite={}", names.site, links.admin_invite)
    for name, value in outputs.items():
        pulumi.export(name, value)
