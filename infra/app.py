"""The function app on the Flex Consumption plan: page, HTTP API, workers and sweeper."""

from __future__ import annotations

from typing import Final

import pulumi
from pulumi_azure_native import web

from infra.app_settings import Settings, app_settings
from infra.database import Database
from infra.deployment import Deployment, Part
from infra.hub import Hub
from infra.identity import Identity
from infra.invite_links import InviteLinks
from infra.monitoring import Monitoring
from infra.network import Network
from infra.publish.bundle import PYTHON_VERSION
from infra.publish.resource import publish_code
from infra.storage import APP_PACKAGE, Storage

#: Concurrent requests per instance; the API is asynchronous.
_REQUESTS_PER_INSTANCE: Final = 16


class App(Part):
    """The app, after everything that it needs at startup, and its code: unchanged code is not published again.

    Attributes
    ----------
    links
        None for a stack whose users sign in at an identity provider.
    """

    def __init__(
        self,
        name: str,
        deployment: Deployment,
        *,
        identity: Identity,
        storage: Storage,
        database: Database,
        hub: Hub,
        monitoring: Monitoring,
        private: Network | None,
    ) -> None:
        super().__init__(name, deployment)
        sign_in = deployment.settings.oidc or InviteLinks("invite-links", opts=self.child())
        self.links = sign_in if isinstance(sign_in, InviteLinks) else None
        settings = app_settings(
            deployment, identity=identity, database=database, hub=hub, monitoring=monitoring, sign_in=sign_in
        )
        app = self._create_app(identity, settings, private, after=(storage, hub, database, monitoring))
        self._refuse_passwords(app)
        self.url = pulumi.Output.concat("https://", app.default_host_name)
        rehearsal = deployment.settings.rehearsal
        self.code = publish_code(
            app_id=app.id,
            scm_url=rehearsal.scm_url if rehearsal else deployment.names.scm_site,
            site=rehearsal.scm_url if rehearsal else deployment.names.site,
            opts=self.child(app),
        )
        self.register_outputs({"url": self.url})

    def _create_app(
        self, identity: Identity, settings: Settings, private: Network | None, after: tuple[Part, ...]
    ) -> web.WebApp:
        group = self.deployment.group.name
        plan = web.AppServicePlan(
            "plan",
            resource_group_name=group,
            name=self.deployment.names.of("plan"),
            kind="functionapp",
            reserved=True,  # means Linux
            sku=web.SkuDescriptionArgs(name="FC1", tier="FlexConsumption"),
            opts=self.child(),
        )
        return web.WebApp(
            "app",
            resource_group_name=group,
            name=self.deployment.names.function_app,
            kind="functionapp,linux",
            server_farm_id=plan.id,
            reserved=True,
            https_only=True,
            client_affinity_enabled=False,
            public_network_access="Enabled",
            identity=web.ManagedServiceIdentityArgs(
                type=web.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            virtual_network_subnet_id=private.app_subnet_id if private else None,
            function_app_config=self._flex(identity),
            # a mapping, since SiteConfigArgs adds a .NET version, which this plan rejects
            site_config=web.SiteConfigArgsDict(
                min_tls_version="1.2",
                scm_min_tls_version="1.2",
                http20_enabled=True,
                app_settings=[web.NameValuePairArgsDict(name=name, value=value) for name, value in settings.items()],
            ),
            opts=self.child(*after),
        )

    def _flex(self, identity: Identity) -> web.FunctionAppConfigArgs:
        profile = self.deployment.settings.profile
        always_ready = web.FunctionsAlwaysReadyConfigArgs(name="http", instance_count=profile.always_ready)
        account = self.deployment.names.storage_account
        return web.FunctionAppConfigArgs(
            deployment=web.FunctionsDeploymentArgs(
                storage=web.FunctionsDeploymentStorageArgs(
                    type="blobContainer",
                    value=f"https://{account}.blob.core.windows.net/{APP_PACKAGE}",
                    authentication=web.FunctionsDeploymentStorageAuthenticationArgs(
                        type="UserAssignedIdentity", user_assigned_identity_resource_id=identity.id
                    ),
                )
            ),
            runtime=web.FunctionsRuntimeArgs(name="python", version=PYTHON_VERSION),
            scale_and_concurrency=web.FunctionsScaleAndConcurrencyArgs(
                maximum_instance_count=profile.max_instances,
                instance_memory_mb=profile.instance_memory,
                always_ready=[always_ready] if profile.always_ready else [],
                triggers=web.FunctionsScaleAndConcurrencyTriggersArgs(
                    http=web.FunctionsScaleAndConcurrencyTriggersHttpArgs(
                        per_instance_concurrency=_REQUESTS_PER_INSTANCE
                    )
                ),
            ),
        )

    def _refuse_passwords(self, app: web.WebApp) -> None:
        """Disable publishing with user name and password, sequentially since both change the app."""
        group = self.deployment.group.name
        no_ftp = web.WebAppFtpAllowed(
            "no-ftp", resource_group_name=group, name=app.name, allow=False, opts=self.child()
        )
        web.WebAppScmAllowed(
            "no-publishing-password", resource_group_name=group, name=app.name, allow=False, opts=self.child(no_ftp)
        )
