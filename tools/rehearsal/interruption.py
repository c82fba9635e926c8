"""A stack that is created again after its destruction, by an `up` that is stopped at several points."""

from __future__ import annotations

import re
from functools import partial

from tools.rehearsal.lifecycle import check_secrets
from tools.rehearsal.stage import Stage, expect

#: Signs users in at an identity provider: a stack without any secret.
OIDC = {
    "authMode": "oidc",
    "oidcIssuer": "https://login.contoso.com/",
    "oidcAudience": "queued-jobs",
    "oidcClientId": "queued-jobs-page",
}
#: What is left when the server exists, in the order of creation: logical name and part of the id.
_ONE_AFTER_THE_OTHER = {
    "database": "/databases/",
    "let-in-azure": "/firewallRules/",
    "database-admin": "/administrators/",
    "app": "/sites/",
    "no-ftp": "/basicPublishingCredentialsPolicies/ftp",
}
_EXISTS = re.compile(r"cannot create already existing resource '([^']+)'")


def survive_interruption(stage: Stage) -> None:
    """Create the destroyed stack again, stop `up` at several points, recover, and destroy all. Raises `Unexpected`."""
    stage.configure(OIDC)
    refused = stage.show("create it again", stage.pulumi.up())
    expect("ServerNameAlreadyExists" in refused.text, "Azure gave away a name that it keeps", refused)
    cleared = stage.show("take down", stage.pulumi.destroy())
    expect(cleared.code == 0, "destroy failed after an up that failed", cleared)
    stage.configure({**OIDC, "generation": 2})
    stage.database.make_database()
    stage.scm.reset()
    _press_ctrl_c(stage, "group", "/resourceGroups/")
    stage.cloud.hold("postgres")
    stage.pulumi.up_until_killed(when=lambda: _exists(stage, "/flexibleServers/"))
    stage.say("up was killed while it created the database server")
    stage.cloud.hold("")
    stage.pulumi.unlock()
    _adopt(stage)
    for name, part in _ONE_AFTER_THE_OTHER.items():
        _press_ctrl_c(stage, name, part)
    finished = stage.show("continue", stage.pulumi.up())
    expect(finished.code == 0, "up failed after it was stopped", finished)
    expect(set(finished.changes.values()) == {"create"}, f"up changed existing resources: {dict(finished.changes)}")
    check_secrets(stage)
    for name, part in {"app": "/sites/", "database-admin": "/administrators/", "postgres": "/flexibleServers/"}.items():
        _interrupt_destroy(stage, name, part)
    destroyed = stage.show("take down", stage.pulumi.destroy())
    left = list(stage.cloud.resources())
    expect(destroyed.code == 0 and not left, f"destroy left {left}", destroyed)


def _press_ctrl_c(stage: Stage, name: str, part: str) -> None:
    """Interrupt `up` while it creates the resource with this logical name, whose id contains `part`.

    It ends after the engine has noticed, so that nothing after it has begun: an interrupted `up` completes what it has
    begun.
    """
    expect(not _exists(stage, part), f"{part} exists before up creates it")
    stage.cloud.hold(name)
    stage.pulumi.up_until_interrupted(when=partial(_exists, stage, part))
    stage.cloud.hold("")
    stage.say(f"up was interrupted while it created {part.strip('/')}")


def _interrupt_destroy(stage: Stage, name: str, part: str) -> None:
    """Interrupt `destroy` while it deletes the resource with this logical name, whose id contains `part`."""
    expect(_exists(stage, part), f"{part} does not exist before destroy deletes it")
    stage.cloud.hold(name)
    stage.pulumi.destroy_until_interrupted(when=lambda: not _exists(stage, part))
    stage.cloud.hold("")
    stage.say(f"destroy was interrupted while it deleted {part.strip('/')}")


def _exists(stage: Stage, part: str) -> bool:
    return any(part in id_ for id_ in stage.cloud.resources())


def _adopt(stage: Stage) -> None:
    """Import what a killed `up` could not record: Azure does not create it twice, and Pulumi does not look for it."""
    cleared = stage.show("clear pending creates", stage.pulumi.refresh("--clear-pending-creates"))
    expect(cleared.code == 0, "refresh failed", cleared)
    refused = stage.show("continue", stage.pulumi.up("--continue-on-error"))
    existing = {urn: match[1] for urn, message in refused.errors if (match := _EXISTS.search(message))}
    expect(any("/flexibleServers/" in id_ for id_ in existing.values()), "Azure created the server twice", refused)
    adopted = stage.show("import what Azure had begun", stage.pulumi.adopt(existing))
    expect(adopted.code == 0, "the resources could not be adopted", adopted)
