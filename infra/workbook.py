"""The workbook: an overview page for operators in the Azure portal."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

_CHARTS: Final = (
    (
        "Jobs that ended, by kind and outcome",
        r"""AppTraces
| parse kind=regex Message with "^job " Job " \\(" Kind "\\) attempt " Attempt ": " Outcome "$"
| where Outcome in ("succeeded", "failed", "aborted", "cancelled")
| summarize Jobs = count() by bin(TimeGenerated, 5m), strcat(Kind, " ", Outcome)""",
        "barchart",
    ),
    (
        "How long the functions run (95th percentile, seconds)",
        """AppRequests
| summarize Seconds = percentile(DurationMs, 95) / 1000 by bin(TimeGenerated, 5m), Name""",
        "timechart",
    ),
    (
        "What the sweeper recovered",
        r"""AppTraces
| parse kind=regex Message with "^SweepReport\\(rescued=" Rescued:long ", resent=" Resent:long ", sent=" Sent:long ","
| where isnotnull(Rescued)
| summarize Rescued = sum(Rescued), Resent = sum(Resent), Sent = sum(Sent) by bin(TimeGenerated, 5m)""",
        "timechart",
    ),
    (
        "Exceptions, the most frequent first",
        """AppExceptions
| summarize Times = sum(ItemCount), Last = max(TimeGenerated) by ProblemId, OuterMessage
| top 20 by Times""",
        "table",
    ),
)


def guid(name: str) -> str:
    """Return the GUID of a workbook with this name: Azure names workbooks by GUIDs."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def content() -> str:
    """Return the page as Azure stores it."""
    return json.dumps(_content(), sort_keys=True)


def _content() -> dict[str, Any]:
    span = {
        "type": 9,
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [
                {
                    "id": "span",
                    "version": "KqlParameterItem/1.0",
                    "name": "Span",
                    "label": "Time",
                    "type": 4,
                    "value": {"durationMs": 86_400_000},
                    "typeSettings": {
                        "selectableValues": [{"durationMs": hours * 3_600_000} for hours in (1, 4, 24, 72, 168)]
                    },
                }
            ],
        },
        "name": "span",
    }
    charts = [
        {
            "type": 3,
            "content": {
                "version": "KqlItem/1.0",
                "title": title,
                "query": query,
                "size": 0,
                "timeContextFromParameter": "Span",
                "queryType": 0,
                "resourceType": "microsoft.operationalinsights/workspaces",
                "visualization": visualization,
            },
            "name": title,
        }
        for title, query, visualization in _CHARTS
    ]
    return {"version": "Notebook/1.0", "items": [span, *charts]}
