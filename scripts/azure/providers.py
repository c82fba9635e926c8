"""The resource providers that the stack needs: a new subscription has most of them unregistered."""

from __future__ import annotations

from typing import Final

from scripts.azure.cli import AzureCli

PROVIDERS: Final = (
    "Microsoft.App",
    "Microsoft.AlertsManagement",
    "Microsoft.Consumption",
    "Microsoft.DBforPostgreSQL",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.SignalRService",
    "Microsoft.Storage",
    "Microsoft.Web",
)


def register_providers(azure: AzureCli) -> None:
    """Register those that are not registered yet, and wait for each."""
    known = {one["namespace"]: one["registrationState"] for one in azure.ask("provider", "list")}
    for namespace in PROVIDERS:
        if known.get(namespace) != "Registered":
            azure.do(f"register {namespace}", "provider", "register", "--namespace", namespace, "--wait")
