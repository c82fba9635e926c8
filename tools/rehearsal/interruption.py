"""An `up` that is killed midway: resources exist in Azure that the state does not contain."""

from __future__ import annotations

import re

from tools.rehearsal.lifecycle import check_secrets
from tools.rehearsal.stage import Stage, expect

#: Signs users in at an identity provider: a stack without any secret.
OIDC = {
    "authMode": "oidc",
    "oidcIssuer": "https://login.contoso.com/",
    "oidcAudience": "queued-jobs",
    "oidcClientId": "queued-jobs-page",
}
_EXISTS = re.compile(r"cannot create already existing resource '([^']+)'")
_LONGER_THAN_ANYBODY_WAITS = 3600.0


def survive_interruption(stage: Stage) -> None:
    """Kill the first `up` while it creates the database server, recover, and destroy all. Raises `Unexpected`."""
    stage.configure(OIDC)
    stage.cloud.set_faults(delays={"postgres": _LONGER_THAN_ANYBODY_WAITS})
    stage.pulumi.up_until_killed(when=lambda: any("/flexibleServers/" in id_ for id_ in stage.cloud.resources()))
    stage.cloud.set_faults(delays={})
    stage.say("up was killed while it created the database server")
    stage.pulumi.unlock()
    _go_on(stage)
    check_secrets(stage)
    destroyed = stage.show("take down", stage.pulumi.destroy())
    left = list(stage.cloud.resources())
    expect(destroyed.code == 0 and not left, f"destroy left {left}", destroyed)


def _go_on(stage: Stage) -> None:
    cleared = stage.show("clear pending creates", stage.pulumi.refresh("--clear-pending-creates"))
    expect(cleared.code == 0, "refresh failed", cleared)
    refused = stage.show("go on", stage.pulumi.up("--continue-on-error"))
    existing = {urn: match[1] for urn, message in refused.errors if (match := _EXISTS.search(message))}
    expect(any("/flexibleServers/" in id_ for id_ in existing.values()), "Azure created the server twice", refused)
    adopted = stage.show("import what Azure had begun", stage.pulumi.adopt(existing))
    expect(adopted.code == 0, "the resources could not be adopted", adopted)
    finished = stage.show("go on", stage.pulumi.up())
    expect(finished.code == 0, "up failed after it was killed once", finished)
    expect(set(finished.changes.values()) == {"create"}, f"up changed existing resources: {dict(finished.changes)}")
