"""Telemetry: the logs of app and host, and an overview of them in the portal."""

from __future__ import annotations

from pulumi_azure_native import applicationinsights, operationalinsights

from infra import roles
from infra.deployment import Deployment, Part
from infra.identity import Identity
from infra.workbook import content, guid


class Monitoring(Part):
    """The workspace with all logs, and Application Insights, which the app sends to with its identity.

    Sending with only an instrumentation key is rejected.
    """

    def __init__(self, name: str, deployment: Deployment, *, identity: Identity) -> None:
        super().__init__(name, deployment)
        group, names, profile = deployment.group.name, deployment.names, deployment.settings.profile
        limit = profile.log_gigabytes_per_day
        self.workspace = operationalinsights.Workspace(
            "logs",
            resource_group_name=group,
            workspace_name=names.of("log"),
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=profile.keep_logs.days,
            workspace_capping=operationalinsights.WorkspaceCappingArgs(daily_quota_gb=limit) if limit else None,
            features=operationalinsights.WorkspaceFeaturesArgs(enable_log_access_using_only_resource_permissions=True),
            opts=self.child(),
        )
        component = applicationinsights.Component(
            "telemetry",
            resource_group_name=group,
            resource_name_=names.of("appi"),
            kind="web",
            application_type="web",
            ingestion_mode="LogAnalytics",
            workspace_resource_id=self.workspace.id,
            disable_local_auth=True,
            opts=self.child(),
        )
        identity.grant("telemetry", roles.MONITORING_METRICS_PUBLISHER, on=component, by=self)
        if deployment.settings.workbook:
            applicationinsights.Workbook(
                "workbook",
                resource_group_name=group,
                resource_name_=guid(names.of("workbook")),
                kind="shared",
                category="workbook",
                display_name=f"Jobs of {names.stack}",
                source_id=self.workspace.id,
                serialized_data=content(),
                opts=self.child(),
            )
        self.connection_string = component.connection_string
        self.register_outputs({"workspaceId": self.workspace.id})
