"""An `up` that is killed in the middle: what Azure had begun is there, and the state does not know it."""

from __future__ import annotations

import re

from tools.rehearsal.lifecycle import check_secrets
from tools.rehearsal.stage import Stage, expect

#: Signs people in at an identity provider: a stack without any secret.
OIDC = {
    "authMode": "oidc",
    "oidcIssuer": "https://login.example.com/",
    "oidcAudience": "queued-jobs",
    "oidcClientId": "queued-jobs-page",
}
_EXISTS = re.compile(r"cannot create already existing resource '([^']+)'")
_LONGER_THAN_ANYBODY_WAITS = 3600.0


def survive_interruption(stage: Stage) -> None:
    """Kill the first `up` while the database server is made, go on, and take all down. Raises `Unexpected`."""
    stage.configure(OIDC)
    stage.cloud.set_faults(delays={"postgres": _LONGER_THAN_ANYBODY_WAITS})
    stage.pulumi.up_until_killed(when=lambda: any("/flexibleServers/" in id_ for id_ in stage.cloud.resources()))
    stage.cloud.set_faults(delays={})
    stage.say("up was killed while it made the database server")
    stage.pulumi.unlock()
    _go_on(stage)
    check_secrets(stage)
    destroyed = stage.show("take down", stage.pulumi.destroy())
    left = list(stage.cloud.resources())
    expect(destroyed.code == 0 and not left, f"destroy left {left}", destroyed)


def _go_on(stage: Stage) -> None:
    cleared = stage.show("forget what was begun", stage.pulumi.refresh("--clear-pending-creates"))
    expect(cleared.code == 0, "refresh failed", cleared)
    refused = stage.show("go on", stage.pulumi.up("--continue-on-error"))
    existing = {urn: match[1] for urn, message in refused.errors if (match := _EXISTS.search(message))}
    expect(any("/flexibleServers/" in id_ for id_ in existing.values()), "Azure made the server twice", refused)
    adopted = stage.show("adopt what Azure had begun", stage.pulumi.adopt(existing))
    expect(adopted.code == 0, "the resources could not be adopted", adopted)
    finished = stage.show("go on", stage.pulumi.up())
    expect(finished.code == 0, "up failed after it was killed once", finished)
    expect(set(finished.changes.values()) == {"create"}, f"up changed what was there: {dict(finished.changes)}")
