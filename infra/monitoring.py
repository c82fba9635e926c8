"""Telemetry: logs, requests, and notifications of the operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pulumi
from pulumi_azure_native import applicationinsights, consumption, monitor, operationalinsights

from infra.deployment import Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """The workspace with all logs, and Application Insights, which the app sends to with its identity."""

    workspace: operationalinsights.Workspace
    component: applicationinsights.Component


def create_monitoring(deployment: Deployment) -> Monitoring:
    """Create both. Sending with only an instrumentation key is rejected."""
    profile = deployment.settings.profile
    limit = profile.log_gigabytes_per_day
    workspace = operationalinsights.Workspace(
        "logs",
        resource_group_name=deployment.group.name,
        workspace_name=deployment.names.of("log"),
        sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
        retention_in_days=profile.keep_logs.days,
        workspace_capping=operationalinsights.WorkspaceCappingArgs(daily_quota_gb=limit) if limit is not None else None,
        features=operationalinsights.WorkspaceFeaturesArgs(enable_log_access_using_only_resource_permissions=True),
        opts=deployment.guarded(),
    )
    component = applicationinsights.Component(
        "telemetry",
        resource_group_name=deployment.group.name,
        resource_name_=deployment.names.of("appi"),
        kind="web",
        application_type="web",
        ingestion_mode="LogAnalytics",
        workspace_resource_id=workspace.id,
        disable_local_auth=True,
        opts=deployment.guarded(),
    )
    return Monitoring(workspace=workspace, component=component)


def create_action_group(deployment: Deployment) -> monitor.ActionGroup:
    """Create the group of operators who are notified."""
    return monitor.ActionGroup(
        "operators",
        resource_group_name=deployment.group.name,
        action_group_name=deployment.names.of("ag"),
        group_short_name="jobs",
        location="Global",
        enabled=True,
        email_receivers=[
            monitor.MicrosoftCommonEmailReceiverArgs(
                name=f"mail-{number}", email_address=address, use_common_alert_schema=True
            )
            for number, address in enumerate(deployment.settings.alert_emails, 1)
        ],
    )


def create_budget(deployment: Deployment, operators: monitor.ActionGroup) -> None:
    """Warn at 80% of the budget, and when the forecast of the month exceeds it."""
    amount = deployment.settings.monthly_budget
    if not amount:
        return
    # Azure accepts only the current month, and keeps the month in which the budget was created
    month = datetime.now(UTC).date().replace(day=1)
    emails = list(deployment.settings.alert_emails)
    consumption.Budget(
        "budget",
        scope=deployment.group.id,
        budget_name=deployment.names.of("budget"),
        amount=amount,
        category="Cost",
        time_grain="Monthly",
        time_period=consumption.BudgetTimePeriodArgs(start_date=f"{month}T00:00:00Z"),
        notifications={
            "spent": consumption.NotificationArgs(
                enabled=True,
                operator="GreaterThan",
                threshold=80,
                threshold_type="Actual",
                contact_emails=emails,
                contact_groups=[operators.id],
            ),
            "forecast": consumption.NotificationArgs(
                enabled=True,
                operator="GreaterThan",
                threshold=100,
                threshold_type="Forecasted",
                contact_emails=emails,
                contact_groups=[operators.id],
            ),
        },
        opts=pulumi.ResourceOptions(ignore_changes=["timePeriod"]),
    )
