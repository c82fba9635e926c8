"""The function app on the Flex Consumption plan: page, HTTP API, workers and sweeper."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import managedidentity, web

from infra.app_settings import Settings
from infra.deployment import Deployment
from infra.network import PrivateNetwork
from infra.publish.bundle import PYTHON_VERSION
from infra.storage import APP_PACKAGE

#: Concurrent requests per instance; the API is asynchronous.
_REQUESTS_PER_INSTANCE = 16


def create_app(
    deployment: Deployment,
    identity: managedidentity.UserAssignedIdentity,
    settings: Settings,
    *,
    private: PrivateNetwork | None,
    after: Sequence[pulumi.Resource],
) -> web.WebApp:
    """Create the app without its code, after all resources that it needs at startup (`after`)."""
    group = deployment.group.name
    plan = web.AppServicePlan(
        "plan",
        resource_group_name=group,
        name=deployment.names.of("plan"),
        kind="functionapp",
        reserved=True,  # means Linux
        sku=web.SkuDescriptionArgs(name="FC1", tier="FlexConsumption"),
    )
    app = web.WebApp(
        "app",
        resource_group_name=group,
        name=deployment.names.function_app,
        kind="functionapp,linux",
        server_farm_id=plan.id,
        reserved=True,
        https_only=True,
        client_affinity_enabled=False,
        public_network_access="Enabled",
        identity=web.ManagedServiceIdentityArgs(
            type=web.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
        ),
        virtual_network_subnet_id=private.app_subnet_id if private is not None else None,
        function_app_config=_flex(deployment, identity),
        # a mapping, since SiteConfigArgs adds a .NET version, which this plan rejects
        site_config=web.SiteConfigArgsDict(
            min_tls_version="1.2",
            scm_min_tls_version="1.2",
            http20_enabled=True,
            app_settings=[web.NameValuePairArgsDict(name=name, value=value) for name, value in settings.items()],
        ),
        opts=deployment.guarded(*after),
    )
    _refuse_passwords(deployment, app)
    return app


def _flex(deployment: Deployment, identity: managedidentity.UserAssignedIdentity) -> web.FunctionAppConfigArgs:
    profile = deployment.settings.profile
    always_ready = [web.FunctionsAlwaysReadyConfigArgs(name="http", instance_count=profile.always_ready)]
    container = f"https://{deployment.names.storage_account}.blob.core.windows.net/{APP_PACKAGE}"
    return web.FunctionAppConfigArgs(
        deployment=web.FunctionsDeploymentArgs(
            storage=web.FunctionsDeploymentStorageArgs(
                type="blobContainer",
                value=container,
                authentication=web.FunctionsDeploymentStorageAuthenticationArgs(
                    type="UserAssignedIdentity", user_assigned_identity_resource_id=identity.id
                ),
            )
        ),
        runtime=web.FunctionsRuntimeArgs(name="python", version=PYTHON_VERSION),
        scale_and_concurrency=web.FunctionsScaleAndConcurrencyArgs(
            maximum_instance_count=profile.max_instances,
            instance_memory_mb=profile.instance_memory,
            always_ready=always_ready if profile.always_ready else [],
            triggers=web.FunctionsScaleAndConcurrencyTriggersArgs(
                http=web.FunctionsScaleAndConcurrencyTriggersHttpArgs(per_instance_concurrency=_REQUESTS_PER_INSTANCE)
            ),
        ),
    )


def _refuse_passwords(deployment: Deployment, app: web.WebApp) -> None:
    """Disable publishing with user name and password, sequentially since both change the app."""
    no_ftp = web.WebAppFtpAllowed("no-ftp", resource_group_name=deployment.group.name, name=app.name, allow=False)
    web.WebAppScmAllowed(
        "no-publishing-password",
        resource_group_name=deployment.group.name,
        name=app.name,
        allow=False,
        opts=pulumi.ResourceOptions(depends_on=[no_ftp]),
    )
