"""The alerts, on logs, metrics and costs, and the operators who are notified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pulumi
from pulumi_azure_native import consumption, monitor

from infra.database import Database
from infra.deployment import Deployment, Part
from infra.hub import Hub
from infra.monitoring import Monitoring

# Log lines of queued_jobs for an ended attempt and for a rescued job.
_ENDED: Final = r'Message matches regex @"^job \S+ \(\S+\) attempt \d+( was rescued)?: '
_DURATION: Final = r"( in [\d.]+ s)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAlert:
    """A query over the last `minutes`; fires if it finds rows or, with `absence`, if it finds none."""

    name: str
    title: str
    description: str
    query: str
    severity: int
    minutes: int
    absence: bool = False


LOG_ALERTS: Final = (
    LogAlert(
        name="aborted",
        title="A job was aborted or poisoned",
        description="It lost its worker repeatedly, or its message was poisoned. See the runbook.",
        # the poison trigger runs for each poisoned message
        query=f"""union
  (AppTraces | where {_ENDED}aborted$"),
  (AppRequests | where Name endswith "_poison")""",
        severity=1,
        minutes=15,
    ),
    LogAlert(
        name="failures",
        title="More than a quarter of the jobs are failing",
        description="Of at least eight ended jobs. The dashboard groups the failures by error.",
        query=f"""AppTraces
| where {_ENDED}(succeeded|failed|aborted|cancelled){_DURATION}$"
| summarize Ended = count(), Failed = countif(Message matches regex @": (failed|aborted){_DURATION}$")
| where Ended >= 8 and Failed * 4 > Ended""",
        severity=2,
        minutes=30,
    ),
    LogAlert(
        name="waiting",
        title="Jobs are waiting too long",
        description="The oldest job has been due for five minutes: there are too few workers, or they do not start.",
        query=r'AppTraces | where Message matches regex @"^queue \S+: its oldest job has waited for \d+ s"',
        severity=2,
        minutes=15,
    ),
    LogAlert(
        name="sweeper",
        title="The sweeper is not running",
        description="Jobs of lost workers are not rescued, and delayed jobs are not sent.",
        query='AppRequests | where Name == "sweep" and Success == true',
        severity=1,
        minutes=15,
        absence=True,
    ),
    LogAlert(
        name="server-errors",
        title="The API is returning errors",
        description="At least five responses with status 500 or above; see the exceptions logged at that time.",
        query="""AppRequests
| where toint(ResultCode) >= 500
| summarize Errors = count()
| where Errors >= 5""",
        severity=2,
        minutes=15,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAlert:
    """Fires if a metric of a resource is above `threshold` for 15 minutes."""

    name: str
    title: str
    metric: str
    threshold: int
    aggregation: str = "Maximum"


class Alerts(Part):
    """All alerts and the budget; each notifies the operators by email, an alert also when it is resolved."""

    def __init__(
        self, name: str, deployment: Deployment, *, monitoring: Monitoring, database: Database, hub: Hub
    ) -> None:
        super().__init__(name, deployment)
        emails = deployment.settings.alert_emails
        self._operators = monitor.ActionGroup(
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
                for number, address in enumerate(emails, 1)
            ],
            opts=self.child(),
        )
        for log_alert in LOG_ALERTS:
            self._on_logs(log_alert, monitoring)
        for metric_alert in (
            MetricAlert(
                name="database-connections",
                title="80% of the database's connections are taken",
                metric="active_connections",
                threshold=deployment.settings.profile.max_connections * 8 // 10,
            ),
            MetricAlert(
                name="database-storage",
                title="The database's disk is 85% full",
                metric="storage_percent",
                threshold=85,
            ),
            MetricAlert(
                name="database-cpu",
                title="The database is at its limit",
                metric="cpu_percent",
                threshold=90,
                aggregation="Average",
            ),
        ):
            self._on_metric(metric_alert, database.server)
        self._on_metric(
            MetricAlert(
                name="hub-connections",
                title="80% of the hub's connections are taken",
                metric="ConnectionQuotaUtilization",
                threshold=80,
            ),
            hub.service,
        )
        if deployment.settings.monthly_budget:
            self._on_costs(list(emails))
        self.register_outputs({})

    def _on_logs(self, alert: LogAlert, monitoring: Monitoring) -> None:
        monitor.ScheduledQueryRule(
            f"alert-{alert.name}",
            resource_group_name=self.deployment.group.name,
            rule_name=self.deployment.names.of(f"alert-{alert.name}"),
            display_name=f"{self.deployment.names.stack}: {alert.title}",
            description=f"{alert.description} {_runbook(alert.name)}",
            kind="LogAlert",
            enabled=True,
            scopes=[monitoring.workspace.id],
            severity=alert.severity,
            evaluation_frequency="PT5M",
            window_size=f"PT{alert.minutes}M",
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=alert.query,
                        time_aggregation="Count",
                        operator="LessThan" if alert.absence else "GreaterThan",
                        threshold=1 if alert.absence else 0,
                        failing_periods=monitor.ConditionFailingPeriodsArgs(
                            number_of_evaluation_periods=1, min_failing_periods_to_alert=1
                        ),
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=[self._operators.id]),
            auto_mitigate=True,
            # a new workspace has no tables until the app has sent data
            skip_query_validation=True,
            opts=self.child(),
        )

    def _on_metric(self, alert: MetricAlert, resource: pulumi.CustomResource) -> None:
        monitor.MetricAlert(
            f"alert-{alert.name}",
            resource_group_name=self.deployment.group.name,
            rule_name=self.deployment.names.of(f"alert-{alert.name}"),
            description=f"{self.deployment.names.stack}: {alert.title}. {_runbook(alert.name)}",
            location="global",
            enabled=True,
            scopes=[resource.id],
            severity=2,
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name=alert.name,
                        metric_name=alert.metric,
                        operator="GreaterThan",
                        threshold=alert.threshold,
                        time_aggregation=alert.aggregation,
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=self._operators.id)],
            auto_mitigate=True,
            opts=self.child(),
        )

    def _on_costs(self, emails: list[str]) -> None:
        """Warn at 80% of the budget, and when the forecast of the month exceeds it."""
        # Azure accepts only the current month, and keeps the month in which the budget was created
        month = datetime.now(UTC).date().replace(day=1)
        consumption.Budget(
            "budget",
            scope=self.deployment.group.id,
            budget_name=self.deployment.names.of("budget"),
            amount=self.deployment.settings.monthly_budget,
            category="Cost",
            time_grain="Monthly",
            time_period=consumption.BudgetTimePeriodArgs(start_date=f"{month}T00:00:00Z"),
            notifications={
                name: consumption.NotificationArgs(
                    enabled=True,
                    operator="GreaterThan",
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=emails,
                    contact_groups=[self._operators.id],
                )
                for name, percent, kind in (("spent", 80, "Actual"), ("forecast", 100, "Forecasted"))
            },
            opts=pulumi.ResourceOptions.merge(self.child(), pulumi.ResourceOptions(ignore_changes=["timePeriod"])),
        )


def _runbook(name: str) -> str:
    return f"Runbook: docs/how-to/runbooks.md#{name}"
