"""The life cycle of a stack: create, inspect, change, damage, repair, destroy, each with the expected changes."""

from __future__ import annotations

import json

import psycopg
from psycopg import sql

from tools.rehearsal.database import DATABASE
from tools.rehearsal.scm_site import FAILED, ROLE_LAG, SUCCESS, Reply
from tools.rehearsal.secrets_check import find_secrets
from tools.rehearsal.stage import Stage, expect, expect_changes

#: With sign-in by invite link these settings contain the links' secrets; with an identity provider there are none.
LINK_SETTINGS = ("INVITE_SECRET", "ADMIN_INVITE_SECRET", "SESSION_SECRET")
_NOT_IN_AZURE = 4  # placement, package, schema, links: resources of Pulumi alone


def live_through(stage: Stage) -> None:
    """Run all steps. Raises `Unexpected`."""
    _make(stage)
    _check_database(stage)
    check_secrets(stage, allowed=LINK_SETTINGS)
    same = stage.show("nothing changed", stage.pulumi.preview("--expect-no-changes"))
    expect_changes(same, {}, "a second preview")
    _add_kind(stage)
    _change_code(stage)
    _lose_queue(stage)
    destroyed = stage.show("take down", stage.pulumi.destroy())
    expect(destroyed.code == 0, "destroy failed", destroyed)
    left = list(stage.cloud.resources())
    expect(not left, f"destroy left {left}")
    expect(not stage.scm.violations, f"the SCM site saw {stage.scm.violations}")


def check_secrets(stage: Stage, *, allowed: tuple[str, ...] = ()) -> None:
    """Check the state, the outputs, and all requests to Azure for secrets."""
    resources = stage.cloud.resources()
    documents = {
        "state": json.loads(stage.pulumi.export()),
        "output": stage.pulumi.outputs(),
        "Azure": resources,
    }
    for name, document in documents.items():
        found = find_secrets(document, known=stage.tokens.given(), allowed=allowed if name == "Azure" else ())
        expect(not found, f"{name}: {'; '.join(found)}")
    open_to_keys = [
        id_
        for id_, resource in resources.items()
        if "applicationinsights:Component::" in resource["urn"]
        and resource["inputs"].get("disableLocalAuth") is not True
    ]
    expect(not open_to_keys, f"the instrumentation key grants access to {open_to_keys}")


def _make(stage: Stage) -> None:
    planned = stage.show("make", stage.pulumi.preview())
    expect(planned.code == 0, "preview failed", planned)
    expect(set(planned.changes.values()) == {"create"}, f"preview of a new stack would {dict(planned.changes)}")
    expect(not stage.cloud.resources() and not stage.scm.deployments, "a preview changed something")
    # the roles of deployer and app take minutes to take effect
    late_roles = Reply(ends_as=FAILED, log=ROLE_LAG, retry_after=0)
    stage.scm.replies.extend([Reply(status=403), Reply(status=400, body=ROLE_LAG), late_roles])
    made = stage.show("make", stage.pulumi.up())
    expect(not stage.scm.replies, "publishing was not retried until the roles took effect")
    expect_changes(made, dict(planned.changes), "up after its preview")
    expect(
        len(stage.cloud.resources()) == len(made.changes) - _NOT_IN_AZURE,
        "the resources in Azure differ from the state",
    )
    statuses = [deployment.status for deployment in stage.scm.deployments]
    expect(statuses == [FAILED, SUCCESS], f"the deployments of the code ended as {statuses}")
    expect("function_app.py" in stage.scm.deployments[-1].files, "the package has no function_app.py")


def _check_database(stage: Stage) -> None:
    """The application's role may read and write rows, and nothing else."""
    (role, label), *others = stage.rows("select objoid::regrole::text, label from pg_shseclabel")
    expect(not others, f"there are more roles of Entra than the application's: {others}")
    principal = next(
        resource["response"]["principalId"]
        for resource in stage.cloud.resources().values()
        if "managedidentity:UserAssignedIdentity::" in resource["urn"]
    )
    expect(f"oid={principal}" in label, f"the role {role} belongs to {label} and not to {principal}")
    with psycopg.connect(stage.database.url_of_superuser(DATABASE), autocommit=True) as conn:
        conn.execute(sql.SQL("set role {}").format(sql.SQL(role)))
        conn.execute("select count(*) from queued_jobs.job")
        conn.execute("delete from queued_jobs.job where false")
        for statement in ("create table queued_jobs.mine (id int)", "delete from queued_jobs.migration"):
            try:
                conn.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
            expect(False, f"the application's role may `{statement}`")


def _add_kind(stage: Stage) -> None:
    """A new file adds two queues and a package; the site needs three attempts for that."""
    queue = stage.project.add_kind()
    changes = {f"queue-{queue}": "create", f"queue-{queue}-poison": "create", "code": "update"}
    planned = stage.show("one more kind of job", stage.pulumi.preview())
    expect_changes(planned, changes, "one more kind of job")
    stage.scm.replies.extend([Reply(status=403), Reply(status=400, body=ROLE_LAG)])
    done = stage.show("the same, the site rejects it twice", stage.pulumi.up())
    expect_changes(done, changes, "one more kind of job")
    expect(not stage.scm.replies, "publishing was not retried")


def _change_code(stage: Stage) -> None:
    """A failed deployment keeps the old state, so that the next `up` repeats it."""
    stage.project.change_code()
    stage.scm.replies.append(Reply(ends_as=FAILED))
    failed = stage.show("new code, the deployment fails", stage.pulumi.up())
    expect(failed.code != 0, "up succeeded though the deployment failed")
    expect("could not unpack" in failed.text, "the deployment's log is not shown", failed)
    stage.scm.late_replies = 2
    again = stage.show("again, the older code responds for a while", stage.pulumi.up())
    expect_changes(again, {"code": "update"}, "up after a failed deployment")
    expect(not stage.scm.late_replies, "up took a response of the older code for one of the new code")


def _lose_queue(stage: Stage) -> None:
    """`refresh` detects that a resource was deleted in the portal, and `up` creates it again."""
    unchanged = stage.show("refresh", stage.pulumi.refresh("--expect-no-changes"))
    expect_changes(unchanged, {}, "refresh")
    id_ = next(each for each in stage.cloud.resources() if each.endswith("-poison"))
    name = f"queue-{id_.rsplit('/', 1)[1]}"
    stage.cloud.forget(id_)
    noticed = stage.show("a queue was deleted in the portal", stage.pulumi.refresh())
    expect_changes(noticed, {name: "delete"}, "refresh after a deletion")
    repaired = stage.show("repair", stage.pulumi.up())
    expect_changes(repaired, {name: "create"}, "up after a deletion")


def preview_production(stage: Stage) -> None:
    """Production has endpoints of Azure only, so only its preview is rehearsed. Raises `Unexpected`."""
    stage.pulumi.make_stack("prod")
    stage.project.replace_samples()
    planned = stage.show("production", stage.pulumi.preview("--stack", "prod", "--config", "privateNetwork=true"))
    expect(planned.code == 0, "the preview of production failed", planned)
    wanted = {"lock-database", "database-endpoint"}
    expect(wanted <= planned.changes.keys(), f"production lacks some of {wanted}")
