"""Two users, every route: nothing of the one is anything to the other."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.integration.security.conftest import Attacks, Site, is_problem
from tests.support.waiting import wait_until

OWNED = [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry"), ("GET", "/download"), ("GET", "/stream")]


@pytest.fixture
def job(site: Site) -> dict[str, Any]:
    """A job of Ann's that has ended."""
    return ended_job(site)


def ended_job(site: Site) -> dict[str, Any]:
    job = site.start("ann", prefix=f"secret-of-ann-{uuid4().hex}")
    wait_until(lambda: site.call("ann", "GET", f"/api/jobs/{job['id']}").json()["status"] == "failed", "it ends")
    ended: dict[str, Any] = site.call("ann", "GET", f"/api/jobs/{job['id']}").json()
    return ended


def test_a10_all_routes_with_a_job_are_in_the_table_below(site: Site) -> None:
    found = {(method, path.partition("999aaa")[2]) for method, path, _ in site.operations() if "999aaa" in path}
    admins = {("GET", ""), ("GET", "/payload/request"), ("GET", "/stream")}
    assert found == set(OWNED) | admins, "a new route with a job: add it to OWNED"


def test_a10_another_users_job_is_as_good_as_none(site: Site, job: dict[str, Any], attacks: Attacks) -> None:
    answers = []
    for method, tail in OWNED:
        theirs = site.call("bob", method, f"/api/jobs/{job['id']}{tail}")
        nobodys = site.call("bob", method, f"/api/jobs/{uuid4()}{tail}")
        for answer in (theirs, nobodys):
            assert is_problem(answer, 404), (method, tail, answer.text)
            answers.append(answer.status_code)
        differing = {"instance", "requestId"}
        assert {k: v for k, v in theirs.json().items() if k not in differing} == {
            k: v for k, v in nobodys.json().items() if k not in differing
        }
    for path, more in [("seen", {}), ("undo-clear", {"since": "2020-01-01T00:00:00Z"})]:
        answer = site.call("bob", "POST", f"/api/jobs/{path}", json={"ids": [job["id"]], **more})
        assert list(answer.json().values()) == [[]]
        answers.append(answer.status_code)
    assert site.call("bob", "POST", "/api/jobs/clear-finished").json()["cleared"] == []
    assert site.call("ann", "GET", f"/api/jobs/{job['id']}").json() == job
    attacks.note("A10", "every route with a job id, as another user and with an unknown id", answers)


def test_a10_the_time_tells_nothing(signed: Site) -> None:
    site, job = signed, ended_job(signed)

    def taken(path: str) -> float:
        started = time.perf_counter()
        site.call("bob", "GET", path)
        return time.perf_counter() - started

    theirs, nobodys = [], []
    for _ in range(40):  # in turns, so that a loaded machine slows both
        theirs.append(taken(f"/api/jobs/{job['id']}"))
        nobodys.append(taken(f"/api/jobs/{uuid4()}"))
    assert statistics.median(theirs) < 5 * statistics.median(nobodys)
    assert statistics.median(nobodys) < 5 * statistics.median(theirs)


def test_a10_what_is_remembered_of_one_user_tells_another_nothing(site: Site, attacks: Attacks) -> None:
    """ETags and cursors; an empty bell is an answer too."""
    answers = []
    empty = [site.call(who, "GET", "/api/jobs/mine") for who in ("nobody", "no-one")]
    assert empty[0].json()["items"] == empty[1].json()["items"] == []
    assert empty[0].headers["etag"] != empty[1].headers["etag"]
    ended_job(site)
    site.start("ann", prefix="another")
    seen = site.call("ann", "GET", "/api/jobs/mine?limit=1")
    etag, cursor = seen.headers["etag"], seen.json()["nextBefore"]
    for value in (etag, f"W/{etag}", f'{etag}, "x"', "*", empty[0].headers["etag"]):
        answer = site.call("no-one", "GET", "/api/jobs/mine?limit=1", headers={"If-None-Match": value})
        assert (answer.status_code, answer.json()["items"]) == (200, []), value
        answers.append(answer.status_code)
    assert is_problem(site.call(None, "GET", "/api/jobs/mine?limit=1", headers={"If-None-Match": etag}), 401)
    answer = site.call("no-one", "GET", f"/api/jobs/mine?before={cursor}")
    assert answer.json()["items"] == []
    attacks.note("A10", "another user's ETags and cursor", [*answers, 401, answer.status_code])


def test_what_is_personal_is_kept_nowhere(site: Site, job: dict[str, Any], attacks: Attacks) -> None:
    answers = []
    for method, path, _ in site.operations():
        path = path.replace("01a20f71-90cb-7027-842a-5ce2fd999aaa", job["id"])
        for who in (None, "ben", "admin"):
            if who == "admin" and method != "GET":
                continue
            answer = site.call(who, method, path, json={} if method == "POST" else None)
            assert answer.headers["cache-control"] == "no-store", (who, method, path)
            answers.append(answer.headers["cache-control"])
    mine = site.call("ann", "GET", "/api/jobs/mine")
    assert (mine.headers["cache-control"], mine.headers["vary"]) == ("no-store", "Authorization")
    attacks.note("A10", "every route as a stranger, a user, an admin: what caches may keep", answers)


def test_a40_what_an_admin_sees_of_others_has_no_secrets(site: Site, attacks: Attacks) -> None:
    job = site.start("ann", prefix="x", name="password=hunter2")
    path = f"/api/jobs/{job['id']}"
    wait_until(lambda: site.call("ann", "GET", path).json()["status"] == "failed", "it ends")
    assert site.call("ann", "GET", path).json()["request"]["name"] == "password=hunter2"
    for method, tail in (("GET", ""), ("POST", "/retry")):
        answer = site.call("admin", method, path + tail)
        assert answer.status_code in (200, 202)
        assert "hunter2" not in answer.text
    attacks.note("A40", "an admin reads and retries a job with a secret in its request", ["masked"] * 2)


def test_a11_a15_nothing_sent_along_changes_who_one_is(site: Site, job: dict[str, Any], attacks: Attacks) -> None:
    ann, bob = (site.user_id(who) for who in ("ann", "bob"))
    answers = []
    for query in (f"user_id={ann}", f"userId={ann}", f"user={ann}", f"owner={ann}"):
        headers = {"X-User": ann, "X-User-Id": ann, "X-Original-User": ann}
        answer = site.call("bob", "GET", f"/api/jobs/mine?{query}", headers=headers)
        assert job["id"] not in answer.text
        answers.append(answer.status_code)
    for name in ("user_id", "userId", "owner"):
        answer = site.call("bob", "POST", "/api/jobs/packer", json={name: ann})
        assert is_problem(answer, 422)
        answers.append(answer.status_code)
    attacks.note("A11", "another user's id in query, headers and body", answers)
    forged = {"x-ms-signalr-userid": ann, "x-ms-signalr-user-id": ann, "X-MS-CLIENT-PRINCIPAL-ID": ann}
    answer = site.call("bob", "POST", f"/api/negotiate?userId={ann}&user={ann}", headers=forged, json={"userId": ann})
    claims = jwt.decode(answer.json()["accessToken"], options={"verify_signature": False})
    assert claims["nameid"] == bob
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    assert claims["asrs.s.coae"] == "true"
    attacks.note("A15", "negotiate with another user's id in query, headers and body", [answer.status_code])


@pytest.mark.parametrize("tail", ["", "/cancel", "/retry", "/download"])
def test_a12_what_is_no_id(site: Site, attacks: Attacks, tail: str) -> None:
    method = "POST" if tail in ("/cancel", "/retry") else "GET"
    odd = [
        "1",
        "0",
        "-1",
        "%00",
        f"{uuid4()}%20",
        f"%20{uuid4()}",
        "a" * 10_000,
        "..%2fadmin",
        "null",
        "%27%20or%201=1",
    ]
    answers = []
    for key in odd:
        answer = site.call("ann", method, f"/api/jobs/{key}{tail}")
        # a path with an escaped slash is another path, which may know the method or not
        assert is_problem(answer, 404, 405), (key, answer.text)
        answers.append(answer.status_code)
    attacks.note("A12", f"ten odd ids in /api/jobs/.../{tail.strip('/') or 'get'}", answers)


def test_a_thousand_requests_with_wrong_or_other_tokens_show_nothing_of_ann(signed: Site, attacks: Attacks) -> None:
    site, job = signed, ended_job(signed)
    chance = random.Random(6)
    ann = site.user_id("ann")
    operations = [(method, path) for method, path, _ in site.operations() if path != "/api/session"]
    good = [site.token(who) for who in ("bob", "cyd", "dan")]
    answers = []
    for number in range(1_000):
        method, path = chance.choice(operations)
        path = path.replace("01a20f71-90cb-7027-842a-5ce2fd999aaa", chance.choice([job["id"], str(uuid4())]))
        token = chance.choice(good)
        if number % 2:
            position = chance.randrange(len(token))
            token = token[:position] + chance.choice("Aa0_-.é") + token[position + 1 :]
        body = chance.choice([{}, {"ids": [job["id"]]}, {"ids": [job["id"]], "since": "2020-01-01T00:00:00Z"}])
        headers = {b"Authorization": f"Bearer {token}".encode()}
        answer = site.http.request(method, path, headers=headers, json=body if method == "POST" else None)
        assert answer.status_code < 500, (method, path, answer.text)
        shown = answer.text.replace(path, "")
        assert ann not in shown
        assert "secret-of-ann" not in shown
        if answer.status_code < 400 and not path.endswith("/undo-clear"):
            assert job["id"] not in shown
        answers.append(answer.status_code)
    assert site.call("ann", "GET", f"/api/jobs/{job['id']}").json() == job
    assert {401, 404, 403} <= set(answers)
    attacks.note("A10", "random routes with others' or broken tokens, 0 foreign data", answers)
