"""The application's identity and its roles: there are no keys and no passwords."""

from __future__ import annotations

import uuid

import pulumi
from pulumi_azure_native import applicationinsights, authorization, managedidentity, signalrservice, storage

from infra import roles
from infra.deployment import Deployment


def create_identity(deployment: Deployment) -> managedidentity.UserAssignedIdentity:
    """Create the identity. It is independent of the app, so that its roles are granted before the app starts."""
    return managedidentity.UserAssignedIdentity(
        "identity",
        resource_group_name=deployment.group.name,
        resource_name_=deployment.names.of("id"),
        opts=deployment.guarded(),
    )


def grant_roles(
    deployment: Deployment,
    identity: managedidentity.UserAssignedIdentity,
    *,
    account: storage.StorageAccount,
    hub: signalrservice.SignalR,
    telemetry: applicationinsights.Component,
) -> list[pulumi.Resource]:
    """Grant the application its roles on storage, hub and telemetry, each on that resource only."""
    grants = {
        "blobs": (account.id, roles.BLOB_DATA_OWNER),
        "queues": (account.id, roles.QUEUE_DATA_CONTRIBUTOR),
        "tables": (account.id, roles.TABLE_DATA_CONTRIBUTOR),
        "hub": (hub.id, roles.SIGNALR_REST_API_OWNER),
        "telemetry": (telemetry.id, roles.MONITORING_METRICS_PUBLISHER),
    }
    return [_grant(deployment, name, scope, role, identity) for name, (scope, role) in grants.items()]


def _grant(
    deployment: Deployment,
    name: str,
    scope: pulumi.Output[str],
    role: str,
    identity: managedidentity.UserAssignedIdentity,
) -> authorization.RoleAssignment:
    # a name derived from the assignment: the same after a lost state, a different one for a replaced identity
    assignment = pulumi.Output.all(scope, identity.principal_id).apply(
        lambda parts: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{parts[0]}|{parts[1]}|{role}"))
    )
    definitions = f"/subscriptions/{deployment.subscription_id}/providers/Microsoft.Authorization/roleDefinitions"
    return authorization.RoleAssignment(
        f"grant-{name}",
        scope=scope,
        role_assignment_name=assignment,
        role_definition_id=f"{definitions}/{role}",
        principal_id=identity.principal_id,
        # else Azure queries the directory, where a new identity appears with a delay
        principal_type="ServicePrincipal",
    )
