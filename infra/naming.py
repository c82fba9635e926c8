"""The names of the resources: constant for a generation of a stack, even after a loss of its state."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Names derived from project, stack, subscription and generation only. Globally unique names contain `suffix`.

    Azure keeps the names of some deleted resources for days, so a stack that is created again needs another generation.
    """

    project: str
    stack: str
    subscription_id: str
    generation: int = 1

    @property
    def suffix(self) -> str:
        parts = [self.subscription_id, self.project, self.stack]
        parts += [str(self.generation)] if self.generation > 1 else []
        whole = "/".join(parts)
        return hashlib.sha256(whole.encode()).hexdigest()[:8]

    @property
    def resource_group(self) -> str:
        return f"rg-{self._plain}"

    @property
    def storage_account(self) -> str:
        return f"st{self._plain.replace('-', '')[:14]}{self.suffix}"

    @property
    def function_app(self) -> str:
        # the host identifies an app by the first 32 characters of its name, so the distinctive part comes first
        return f"func-{self.suffix}-{self._plain}"[:60].rstrip("-")

    @property
    def site(self) -> str:
        """The origin of page and API."""
        return f"https://{self.function_app}.azurewebsites.net"

    @property
    def scm_site(self) -> str:
        """The origin to which code is published."""
        return f"https://{self.function_app}.scm.azurewebsites.net"

    def of(self, prefix: str) -> str:
        """Return the name of a resource with this prefix, of at most 60 characters."""
        return f"{prefix}-{self._plain[: 60 - len(prefix) - len(self.suffix) - 2].rstrip('-')}-{self.suffix}"

    @property
    def _plain(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{self.project}-{self.stack}".lower()).strip("-")
