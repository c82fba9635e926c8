"""The storage account: queues of jobs, blobs of users and jobs, the function app's code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from pulumi_azure_native import storage

from infra import roles
from infra.deployment import Deployment, Part
from infra.identity import Identity

UPLOADS: Final = "uploads"
RESULTS: Final = "results"
#: Container of the published code. The platform needs it before the app is created.
APP_PACKAGE: Final = "app-package"

_UNDELETE_FOR: Final = storage.DeleteRetentionPolicyArgs(enabled=True, days=7)


class Storage(Part):
    """The account with its queues and containers. Access keys are disabled: only principals with a role have access."""

    def __init__(self, name: str, deployment: Deployment, *, identity: Identity, queues: Iterable[str]) -> None:
        super().__init__(name, deployment)
        self.account = storage.StorageAccount(
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
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=storage.DefaultAction.ALLOW, bypass="AzureServices"
            ),
            opts=self.child(),
        )
        identity.grant("blobs", roles.BLOB_DATA_OWNER, on=self.account, by=self)
        identity.grant("queues", roles.QUEUE_DATA_CONTRIBUTOR, on=self.account, by=self)
        identity.grant("tables", roles.TABLE_DATA_CONTRIBUTOR, on=self.account, by=self)
        self._create_containers()
        # messages are wake-ups that the sweeper can send again, so queues are not protected
        for queue in queues:
            storage.Queue(
                f"queue-{queue}",
                resource_group_name=deployment.group.name,
                account_name=self.account.name,
                queue_name=queue,
                opts=self.child(),
            )
        self.register_outputs({"account": self.account.name})

    def _create_containers(self) -> None:
        """Create the containers, and the rules by which their blobs expire."""
        group, settings = self.deployment.group.name, self.deployment.settings
        service = storage.BlobServiceProperties(
            "blobs",
            resource_group_name=group,
            account_name=self.account.name,
            blob_services_name="default",
            delete_retention_policy=_UNDELETE_FOR,
            container_delete_retention_policy=_UNDELETE_FOR,
            # the page uploads directly to the blob service, with one link per blob
            cors=storage.CorsRulesArgs(
                cors_rules=[
                    storage.CorsRuleArgs(
                        allowed_origins=self.deployment.origins,
                        allowed_methods=["PUT"],
                        allowed_headers=["content-type", "x-ms-*"],
                        exposed_headers=["etag"],
                        max_age_in_seconds=3600,
                    )
                ]
            ),
            opts=self.child(),
        )
        containers = {
            name: storage.BlobContainer(
                f"container-{name}",
                resource_group_name=group,
                account_name=self.account.name,
                container_name=name,
                public_access=storage.PublicAccess.NONE,
                opts=self.child(service),
            )
            for name in (UPLOADS, RESULTS, APP_PACKAGE)
        }
        storage.ManagementPolicy(
            "expiry",
            resource_group_name=group,
            account_name=self.account.name,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[_expiry(name, settings.profile.keep_files) for name in (UPLOADS, RESULTS)]
            ),
            opts=self.child(*containers.values()),
        )
        for name in (UPLOADS, RESULTS):
            self.lock(name, containers[name])


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
