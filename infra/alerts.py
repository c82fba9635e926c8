"""The alerts: queries on the logs of the application and its host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import dbforpostgresql, monitor, signalrservice

from infra.deployment import Deployment
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


def create_alerts(
    deployment: Deployment,
    operators: monitor.ActionGroup,
    *,
    monitoring: Monitoring,
    server: dbforpostgresql.Server,
    hub: signalrservice.SignalR,
) -> None:
    """Create all alerts; each notifies the operators by email, also when it is resolved."""
    for alert in LOG_ALERTS:
        _log_alert(deployment, operators, monitoring, alert)
    connections = deployment.settings.profile.max_connections * 8 // 10
    for name, title, scope, metric, threshold, aggregation in (
        (
            "database-connections",
            "80% of the database's connections are taken",
            server.id,
            "active_connections",
            connections,
            "Maximum",
        ),
        ("database-storage", "The database's disk is 85% full", server.id, "storage_percent", 85, "Maximum"),
        ("database-cpu", "The database is at its limit", server.id, "cpu_percent", 90, "Average"),
        (
            "hub-connections",
            "80% of the hub's connections are taken",
            hub.id,
            "ConnectionQuotaUtilization",
            80,
            "Maximum",
        ),
    ):
        _metric_alert(deployment, operators, name, title, scope, metric, threshold, aggregation)


def _runbook(name: str) -> str:
    return f"Runbook: docs/how-to/runbooks.md#{name}"


def _log_alert(deployment: Deployment, operators: monitor.ActionGroup, monitoring: Monitoring, alert: LogAlert) -> None:
    monitor.ScheduledQueryRule(
        f"alert-{alert.name}",
        resource_group_name=deployment.group.name,
        rule_name=deployment.names.of(f"alert-{alert.name}"),
        display_name=f"{deployment.names.stack}: {alert.title}",
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
        actions=monitor.ActionsArgs(action_groups=[operators.id]),
        auto_mitigate=True,
        # a new workspace has no tables until the app has sent data
        skip_query_validation=True,
    )


def _metric_alert(
    deployment: Deployment,
    operators: monitor.ActionGroup,
    name: str,
    title: str,
    scope: pulumi.Output[str],
    metric: str,
    threshold: int,
    aggregation: str,
) -> None:
    monitor.MetricAlert(
        f"alert-{name}",
        resource_group_name=deployment.group.name,
        rule_name=deployment.names.of(f"alert-{name}"),
        description=f"{deployment.names.stack}: {title}. {_runbook(name)}",
        location="global",
        enabled=True,
        scopes=[scope],
        severity=2,
        evaluation_frequency="PT5M",
        window_size="PT15M",
        criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
            odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
            all_of=[
                monitor.MetricCriteriaArgs(
                    criterion_type="StaticThresholdCriterion",
                    name=name,
                    metric_name=metric,
                    operator="GreaterThan",
                    threshold=threshold,
                    time_aggregation=aggregation,
                )
            ],
        ),
        actions=[monitor.MetricAlertActionArgs(action_group_id=operators.id)],
        auto_mitigate=True,
    )
