"""The application's identity and its roles: there are no keys and no passwords."""

from __future__ import annotations

import uuid

import pulumi
from pulumi_azure_native import authorization, managedidentity

from infra.deployment import Deployment, Part


class Identity(Part):
    """The identity. It is independent of the app, so that its roles are granted before the app starts."""

    def __init__(self, name: str, deployment: Deployment) -> None:
        super().__init__(name, deployment)
        user = managedidentity.UserAssignedIdentity(
            "identity",
            resource_group_name=deployment.group.name,
            resource_name_=deployment.names.of("id"),
            opts=self.child(),
        )
        self.id, self.name = user.id, user.name
        self.client_id, self.principal_id = user.client_id, user.principal_id
        self.register_outputs({"clientId": self.client_id})

    def grant(self, name: str, role: str, *, on: pulumi.CustomResource, by: Part) -> None:
        """Grant it a role on a resource, and on nothing else; the assignment is part of `by`."""
        # a name derived from the assignment: the same after a lost state, a different one for a replaced identity
        assignment = pulumi.Output.all(on.id, self.principal_id).apply(
            lambda parts: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{parts[0]}|{parts[1]}|{role}"))
        )
        subscription = f"/subscriptions/{self.deployment.subscription_id}"
        authorization.RoleAssignment(
            f"grant-{name}",
            scope=on.id,
            role_assignment_name=assignment,
            role_definition_id=f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}",
            principal_id=self.principal_id,
            # else Azure queries the directory, where a new identity appears with a delay
            principal_type="ServicePrincipal",
            opts=by.child(),
        )
