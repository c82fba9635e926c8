"""The secrets of the invite links: generated once by a stack with invite links, and marked as secret.

They are a stack's only secrets; `authMode: oidc` has none. To replace them, which ends all links and sessions:
`pulumi up --replace '**invite-links'`.
"""

from __future__ import annotations

from typing import Any, Final

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

_SECRETS: Final = ("invite", "admin_invite", "session")


class _InviteLinksProvider(ResourceProvider):
    """States contain the name of this class and of its module: see tests/infra/test_providers.py."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        import secrets  # imported here, since the provider is sent to another process

        made = {name: secrets.token_urlsafe(32) for name in ("invite", "admin_invite", "session")}
        return CreateResult(id_="invite-links", outs={**props, **made})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=False)  # otherwise each change of this class would end all sessions


class InviteLinks(Resource):
    """Three random secrets of 256 bits: for the guests' link, for the admins' link, for signing sessions."""

    invite: pulumi.Output[str]
    admin_invite: pulumi.Output[str]
    session: pulumi.Output[str]

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(_SECRETS))
        super().__init__(
            _InviteLinksProvider(), name, dict.fromkeys(_SECRETS), pulumi.ResourceOptions.merge(opts, secret)
        )
