"""The storage account: queues of jobs, blobs of users and jobs, the function app's code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import pulumi
from pulumi_azure_native import storage

from infra.deployment import Deployment

UPLOADS: Final = "uploads"
RESULTS: Final = "results"
#: Container of the published code. The platform needs it before the app is created.
APP_PACKAGE: Final = "app-package"

_UNDELETE_FOR: Final = 7  # days


def create_account(deployment: Deployment) -> storage.StorageAccount:
    """Create the account. Access keys are disabled, so only principals with a role have access."""
    return storage.StorageAccount(
        "storage",
        resource_group_name=deployment.group.name,
        account_name=deployment.names.storage_account,
        kind="StorageV2",
        sku=storage.SkuArgs(name=deployment.settings.profile.storage_redundancy),
        allow_shared_key_access=False,
        default_to_o_auth_authentication=True,
        allow_blob_public_access=False,
        allow_cross_tenant_replication=False,
        minimum_tls_version="TLS1_2",
        enable_https_traffic_only=True,
        network_rule_set=storage.NetworkRuleSetArgs(default_action=storage.DefaultAction.ALLOW, bypass="AzureServices"),
        opts=deployment.guarded(),
    )


def create_containers(deployment: Deployment, account: storage.StorageAccount) -> dict[str, storage.BlobContainer]:
    """Create the containers, by name, and the rules by which their blobs expire."""
    service = storage.BlobServiceProperties(
        "blobs",
        resource_group_name=deployment.group.name,
        account_name=account.name,
        blob_services_name="default",
        delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_UNDELETE_FOR),
        container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=_UNDELETE_FOR),
        # the page uploads directly to the blob service, with one link per blob
        cors=storage.CorsRulesArgs(
            cors_rules=[
                storage.CorsRuleArgs(
                    allowed_origins=deployment.origins,
                    allowed_methods=["PUT"],
                    allowed_headers=["content-type", "x-ms-*"],
                    exposed_headers=["etag"],
                    max_age_in_seconds=3600,
                )
            ]
        ),
    )
    containers = {
        name: storage.BlobContainer(
            f"container-{name}",
            resource_group_name=deployment.group.name,
            account_name=account.name,
            container_name=name,
            public_access=storage.PublicAccess.NONE,
            opts=deployment.guarded(service),
        )
        for name in (UPLOADS, RESULTS, APP_PACKAGE)
    }
    storage.ManagementPolicy(
        "expiry",
        resource_group_name=deployment.group.name,
        account_name=account.name,
        management_policy_name="default",
        policy=storage.ManagementPolicySchemaArgs(
            rules=[_expiry(name, deployment.settings.profile.keep_files) for name in (UPLOADS, RESULTS)]
        ),
        opts=pulumi.ResourceOptions(depends_on=[*containers.values()]),
    )
    return containers


def create_queues(
    deployment: Deployment, account: storage.StorageAccount, queues: Iterable[str]
) -> list[pulumi.Resource]:
    """Create the queues. Messages are wake-ups that the sweeper can send again, so they are not protected."""
    return [
        storage.Queue(
            f"queue-{name}", resource_group_name=deployment.group.name, account_name=account.name, queue_name=name
        )
        for name in queues
    ]


def _expiry(container: str, after: timedelta) -> storage.ManagementPolicyRuleArgs:
    return storage.ManagementPolicyRuleArgs(
        name=f"expire-{container}",
        type="Lifecycle",
        enabled=True,
        definition=storage.ManagementPolicyDefinitionArgs(
            # page blobs, which a rule cannot name, are deleted by the app
            filters=storage.ManagementPolicyFilterArgs(
                blob_types=["blockBlob", "appendBlob"], prefix_match=[f"{container}/"]
            ),
            actions=storage.ManagementPolicyActionArgs(
                base_blob=storage.ManagementPolicyBaseBlobArgs(
                    delete=storage.DateAfterModificationArgs(days_after_modification_greater_than=after.days)
                ),
                snapshot=storage.ManagementPolicySnapShotArgs(
                    delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=after.days)
                ),
            ),
        ),
    )
