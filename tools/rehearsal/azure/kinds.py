"""The supported types of resources: their paths, the rules for their names, and the properties that Azure adds."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from tools.rehearsal.azure.wire import Properties

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{{resourceGroupName}}"
_STORAGE = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_POSTGRES = f"{_GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{{serverName}}"
_SITE = f"{_GROUP}/providers/Microsoft.Web/sites/{{name}}"
_ENDPOINT = f"{_GROUP}/providers/Microsoft.Network/privateEndpoints/{{privateEndpointName}}"
_ZONE = f"{_GROUP}/providers/Microsoft.Network/privateDnsZones/{{privateZoneName}}"
_GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID_RULE = (_GUID, "a GUID")
# 3 to 63 lower-case letters, digits and dashes, as the SDK says of queues and containers
_QUEUE_RULE = (r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])+", "3-63 lower-case letters, digits and single dashes between them")

Outputs = Callable[[Properties, str], Properties]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type of resource.

    Attributes
    ----------
    path
        Its id, with the names of inputs in braces. A different value for any of these inputs identifies a different
        resource.
    rule
        (regular expression, description) for the last name in the path.
    computed
        Computes the properties that Azure returns in addition to the inputs.
    always_there
        Azure creates and deletes it with its parent; "creating" it updates the existing one.
    """

    path: str
    rule: tuple[str, str] | None = None
    computed: Outputs = lambda _inputs, _id: {}
    always_there: bool = False

    @property
    def names(self) -> list[str]:
        """The inputs that form the path."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def type(self) -> str:
        """Azure's name of the type: Microsoft.Storage/storageAccounts/queueServices/queues."""
        if "/providers/" not in self.path:
            return "Microsoft.Resources/resourceGroups"
        namespace, *rest = self.path.rsplit("/providers/", 1)[1].split("/")
        return "/".join([namespace, *rest[::2]])

    def id_of(self, inputs: Properties) -> str:
        values = {name: str(inputs[name]).removeprefix("/" if name == "scope" else "") for name in self.names}
        return self.path.format(**values)


def _guid(seed: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))


def _identity(_inputs: Properties, id_: str) -> Properties:
    return {"principalId": _guid(f"principal {id_}"), "clientId": _guid(f"client {id_}"), "tenantId": TENANT}


def _endpoints(inputs: Properties, _id: str) -> Properties:
    services = ("blob", "queue", "table", "file", "dfs")
    name = inputs["accountName"]
    return {"primaryEndpoints": {service: f"https://{name}.{service}.core.windows.net/" for service in services}}


def _telemetry(_inputs: Properties, id_: str) -> Properties:
    key, app = _guid(f"instrumentation {id_}"), _guid(f"application {id_}")
    ingestion = "https://westeurope-5.in.applicationinsights.azure.com/"
    connection = f"InstrumentationKey={key};IngestionEndpoint={ingestion};ApplicationId={app}"
    return {"instrumentationKey": key, "appId": app, "connectionString": connection}


def _site(inputs: Properties, _id: str) -> Properties:
    name = inputs["name"]
    identity = inputs.get("identity") or {}
    site = {key: value for key, value in (inputs.get("siteConfig") or {}).items() if key != "appSettings"}
    return {
        "defaultHostName": f"{name}.azurewebsites.net",
        "enabledHostNames": [f"{name}.azurewebsites.net", f"{name}.scm.azurewebsites.net"],
        "state": "Running",
        "siteConfig": site,  # Azure's responses never contain the settings
        # the input is a list, the output a map
        "identity": {
            **identity,
            "userAssignedIdentities": {
                each: {"principalId": _guid(f"principal {each}"), "clientId": _guid(f"client {each}")}
                for each in identity.get("userAssignedIdentities") or ()
            },
        },
    }


def _host(domain: str, output: str, name: str) -> Outputs:
    return lambda inputs, _id: {output: f"{inputs[name]}.{domain}"}


KINDS: dict[str, Kind] = {
    "resources:ResourceGroup": Kind(path=_GROUP, rule=(r"[\w.()-]{0,89}[\w()-]", "1-90 characters, no dot at the end")),
    "managedidentity:UserAssignedIdentity": Kind(
        path=f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}",
        rule=(r"[A-Za-z0-9][\w-]{2,127}", "3-128 letters, digits, dashes and underscores"),
        computed=_identity,
    ),
    "operationalinsights:Workspace": Kind(
        path=f"{_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{{workspaceName}}",
        rule=(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", "4-63 letters, digits and dashes between them"),
        computed=lambda _inputs, id_: {"customerId": _guid(f"workspace {id_}")},
    ),
    "applicationinsights:Component": Kind(
        path=f"{_GROUP}/providers/Microsoft.Insights/components/{{resourceName}}", computed=_telemetry
    ),
    "applicationinsights:Workbook": Kind(
        path=f"{_GROUP}/providers/Microsoft.Insights/workbooks/{{resourceName}}", rule=_GUID_RULE
    ),
    "storage:StorageAccount": Kind(
        path=_STORAGE, rule=(r"[a-z0-9]{3,24}", "3-24 lower-case letters and digits"), computed=_endpoints
    ),
    "storage:BlobServiceProperties": Kind(
        path=f"{_STORAGE}/blobServices/{{blobServicesName}}", rule=("default", "default"), always_there=True
    ),
    "storage:BlobContainer": Kind(
        path=f"{_STORAGE}/blobServices/default/containers/{{containerName}}", rule=_QUEUE_RULE
    ),
    "storage:Queue": Kind(path=f"{_STORAGE}/queueServices/default/queues/{{queueName}}", rule=_QUEUE_RULE),
    "storage:ManagementPolicy": Kind(
        path=f"{_STORAGE}/managementPolicies/{{managementPolicyName}}", rule=("default", "default")
    ),
    "signalrservice:SignalR": Kind(
        path=f"{_GROUP}/providers/Microsoft.SignalRService/signalR/{{resourceName}}",
        rule=(r"[a-zA-Z][a-zA-Z0-9-]{1,61}[a-zA-Z0-9]", "3-63 letters, digits and dashes, a letter first"),
        computed=_host("service.signalr.net", "hostName", "resourceName"),
    ),
    "dbforpostgresql:Server": Kind(
        path=_POSTGRES,
        rule=(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "3-63 lower-case letters, digits and dashes between them"),
        computed=lambda inputs, _id: {
            "fullyQualifiedDomainName": f"{inputs['serverName']}.postgres.database.azure.com",
            "state": "Ready",
        },
    ),
    "dbforpostgresql:Database": Kind(path=f"{_POSTGRES}/databases/{{databaseName}}"),
    "dbforpostgresql:FirewallRule": Kind(path=f"{_POSTGRES}/firewallRules/{{firewallRuleName}}"),
    "dbforpostgresql:Configuration": Kind(path=f"{_POSTGRES}/configurations/{{configurationName}}", always_there=True),
    "dbforpostgresql:AdministratorsMicrosoftEntra": Kind(
        path=f"{_POSTGRES}/administrators/{{objectId}}", rule=_GUID_RULE
    ),
    "authorization:RoleAssignment": Kind(
        path="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}", rule=_GUID_RULE
    ),
    "authorization:ManagementLockByScope": Kind(
        path="/{scope}/providers/Microsoft.Authorization/locks/{lockName}",
        rule=(r"[^<>%&:\\?/]{1,260}", "1-260 characters without <>%&:\\?/"),
    ),
    "web:AppServicePlan": Kind(path=f"{_GROUP}/providers/Microsoft.Web/serverfarms/{{name}}"),
    "web:WebApp": Kind(
        path=_SITE,
        rule=(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]", "2-60 letters, digits and dashes between them"),
        computed=_site,
    ),
    "web:WebAppFtpAllowed": Kind(path=f"{_SITE}/basicPublishingCredentialsPolicies/ftp", always_there=True),
    "web:WebAppScmAllowed": Kind(path=f"{_SITE}/basicPublishingCredentialsPolicies/scm", always_there=True),
    "monitor:ActionGroup": Kind(path=f"{_GROUP}/providers/Microsoft.Insights/actionGroups/{{actionGroupName}}"),
    "monitor:ScheduledQueryRule": Kind(path=f"{_GROUP}/providers/Microsoft.Insights/scheduledQueryRules/{{ruleName}}"),
    "monitor:MetricAlert": Kind(path=f"{_GROUP}/providers/Microsoft.Insights/metricAlerts/{{ruleName}}"),
    "consumption:Budget": Kind(path="/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}"),
    "network:VirtualNetwork": Kind(path=f"{_GROUP}/providers/Microsoft.Network/virtualNetworks/{{virtualNetworkName}}"),
    "network:PrivateEndpoint": Kind(path=_ENDPOINT),
    "network:PrivateDnsZoneGroup": Kind(path=f"{_ENDPOINT}/privateDnsZoneGroups/{{privateDnsZoneGroupName}}"),
    "privatedns:PrivateZone": Kind(path=_ZONE),
    "privatedns:VirtualNetworkLink": Kind(path=f"{_ZONE}/virtualNetworkLinks/{{virtualNetworkLinkName}}"),
}


def kind_of(token: str) -> Kind | None:
    """Return the kind of `azure-native:module:Class`, or None if it is not supported."""
    return KINDS.get(token.removeprefix("azure-native:"))
