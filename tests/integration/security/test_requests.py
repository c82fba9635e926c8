"""Parameters, headers, links and messages that are wrong."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.integration.security.conftest import Attacks, Site, is_problem
from tests.support.waiting import wait_until

JSON = {"Content-Type": "application/json"}
START = "/api/jobs/packer"


def test_a26_unknown_kinds(signed: Site, attacks: Attacks) -> None:
    answers = []
    for kind in (
        "nothing",
        "__import__",
        "..%2fx",
        "[]",
        "packer%00",
        "PACKER",
        "packer/",
        "%5b%22a%22%5d",
    ):
        answer = signed.call("ann", "POST", f"/api/jobs/{kind}", json={})
        assert is_problem(answer, 404, 405), (kind, answer.text)
        answers.append(answer.status_code)
    attacks.note("A26", "eight kinds that are none", answers)


def test_a27_idempotency_keys(signed: Site, attacks: Attacks) -> None:
    answers = []
    for key in ("k" * 300, "", "a\tb", "ü", "k" * 201, "a\x7f"):
        answer = signed.call("ann", "POST", START, json={}, headers={"Idempotency-Key": key.encode()})
        assert is_problem(answer, 400), (key, answer.text)
        answers.append(answer.status_code)
    headers = {"Idempotency-Key": "the same"}
    first = signed.call("ann", "POST", START, json={"prefix": "a"}, headers=headers)
    assert first.status_code == 202
    other = signed.call("ann", "POST", START, json={"prefix": "b"}, headers=headers)
    assert is_problem(other, 422)
    answers.append(other.status_code)
    same = [
        signed.call("ann", "POST", START, content=text, headers={**JSON, **headers})
        for text in (b'{"prefix": "a"}', b'{ "prefix" :"\\u0061"}', b'{"prefix":"a","container":"uploads"}')
    ]
    assert {answer.json()["id"] for answer in same} == {first.json()["id"]}
    bens = signed.call("ben", "POST", START, json={"prefix": "b"}, headers=headers)
    csv = signed.call("ann", "POST", "/api/jobs/importer", json={"prefix": f"{'0' * 32}/"}, headers=headers)
    assert len({first.json()["id"], bens.json()["id"], csv.json()["id"]}) == 3, "keys are of one person and kind"
    attacks.note("A27", "keys too long, empty, with a tab, beyond ASCII, reused", answers)
    attacks.note("A27", "the same key by another person, for another kind", [bens.status_code, csv.status_code])


def test_a27_the_same_key_twenty_times_at_once(signed: Site, attacks: Attacks) -> None:
    signed.token("ann")
    headers = {"Idempotency-Key": "at once"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: signed.call("ann", "POST", START, json={}, headers=headers), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    attacks.note("A27", "one key 20 times at once, one job", [answer.status_code for answer in answers])


def test_a32_prefixes_stay_below_the_own_one(signed: Site, attacks: Attacks) -> None:
    answers = []
    for prefix in ("%2e%2e/", "", "   ", "/", "//evil", "....//", "a/./b", "~", "%00"):
        answer = signed.call("a32", "POST", START, json={"prefix": prefix})  # who has no files
        assert answer.status_code == 202 or is_problem(answer, 422), (prefix, answer.text)
        if answer.status_code == 202:
            job = finished(signed, "a32", answer.json()["id"])
            assert job["error"]["class"] == "NothingToZip", job
        answers.append(answer.status_code)
    attacks.note("A32", "nine prefixes, each run to its end", answers)


def finished(site: Site, who: str, key: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        job: dict[str, Any] = site.call(who, "GET", f"/api/jobs/{key}").json()
        return job

    wait_until(lambda: read()["finishedAt"] is not None, "the job ends")
    return read()


@pytest.fixture(scope="module")
def zipped(signed: Site) -> tuple[str, str]:
    """A job of Ann's with a file, and a link to it."""
    files = [{"name": "a.txt", "size": 5}, {"name": "b.txt", "size": 5}]
    place = signed.call("ann", "POST", "/api/uploads", json={"files": files}).json()
    for target in place["files"]:
        httpx.put(target["url"], content=b"hello", headers=target["headers"], trust_env=False).raise_for_status()
    job = signed.start("ann", prefix=place["prefix"])
    assert finished(signed, "ann", job["id"])["status"] == "succeeded"
    return job["id"], signed.call("ann", "GET", f"/api/jobs/{job['id']}/download").json()["url"]


def test_a35_a_link_does_one_thing_only(signed: Site, zipped: tuple[str, str], attacks: Attacks) -> None:
    _, link = zipped
    assert httpx.get(link, trust_env=False).status_code == 200
    address, _, query = link.partition("?")
    container = address.rpartition("/")[0].rpartition("/")[0]
    tries = {
        "PUT": ("PUT", link),
        "DELETE": ("DELETE", link),
        "list": ("GET", f"{container}?restype=container&comp=list&{query}"),
        "another blob": ("GET", f"{address}x?{query}"),
        "an upload": ("GET", f"{container.rpartition('/')[0]}/uploads/x?{query}"),
        "changed end": ("GET", f"{address}?{query.replace('se=20', 'se=21')}"),
        "without": ("GET", address),
    }
    answers = []
    for name, (method, url) in tries.items():
        headers = {"x-ms-blob-type": "BlockBlob"} if method == "PUT" else {}
        answer = httpx.request(method, url, headers=headers, trust_env=False)
        assert answer.status_code in (403, 404, 409), (name, answer.status_code)
        answers.append(answer.status_code)
    attacks.note("A35", "a download link for seven other things", answers)
    signature = query.partition("sig=")[2].partition("&")[0]
    with psycopg.connect(signed.stack.database_url) as connection:
        rows = connection.execute(
            "select j::text from queued_jobs.job j union all select a::text from queued_jobs.attempt a"
        )
        assert not any("sig=" in row[0] or signature in row[0] for row in rows)
    assert not any(signature in line for line in signed.host.last_lines)


MOMENTS = ["-1", "12", "1e9", "", "now", "infinity", "2020-01-01", "2020-01-01T00:00:00", "99999-01-01T00:00:00Z"]


def test_a36_moments_cursors_and_numbers_of_the_bell(signed: Site, attacks: Attacks) -> None:
    key = "01a20f71-90cb-7027-842a-5ce2fd999aaa"
    answers = []
    moments: list[Any] = [
        *MOMENTS,
        "2020-01-01T00:00:00+99:99",
        "\u0662020-01-01T00:00:00Z",
        5,
        1.5,
        True,
        None,
        [],
        {},
    ]
    for since in moments:
        answer = signed.call("ann", "POST", "/api/jobs/undo-clear", json={"ids": [key], "since": since})
        assert is_problem(answer, 422), (since, answer.text)
        answers.append(answer.status_code)
    for since in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert signed.call("ann", "POST", "/api/jobs/undo-clear", json={"ids": [key], "since": since}).json() == {
            "restored": []
        }
    zeros = "0" * 32
    cursors = [
        "",
        ".",
        "1",
        f"1.{zeros[:-1]}",
        f"1.urn:uuid:{zeros}",
        f"1.{{{zeros}}}",
        f"\u0663.{zeros}",
        f"1_0.{zeros}",
    ]
    far = [f"253402300800000000.{zeros}", f"-62135596800000001.{zeros}", f"9223372036854775807.{zeros}", "9" * 79]
    for before in (*cursors, *far, f"1.{zeros}\0", f" 1.{zeros}", f"1.{zeros}\n", "x" * 81):
        answer = signed.call("ann", "GET", "/api/jobs/mine", params={"before": before})
        assert is_problem(answer, 422), (before, answer.text)
        answers.append(answer.status_code)
    for limit in ("0", "101", "-1", "-0", "1e1", "0x10", "\u0663", "true", "null", "", "1;limit=2", "9" * 5_000):
        answer = signed.call("ann", "GET", "/api/jobs/mine", params={"limit": limit})
        assert is_problem(answer, 422), (limit, answer.text)
        answers.append(answer.status_code)
    attacks.note("A36", "moments, cursors and limits of the bell", answers)


def test_a36_a37_filters_of_admins(signed: Site, attacks: Attacks) -> None:
    queries = [
        "sort=id;drop table queued_jobs.job",
        "status=x' or 1=1--",
        "page=-1",
        "limit=1000000000",
        "limit=-1",
        "from=99999-01-01",
        "from=%ZZ",
        "kind=%00",
        "before=1.2",
        "before=9999999999999999999999999.0",
        "attemptsOver=9999999999999999999",
        f"text={'x' * 10_000}",
    ]
    answers = []
    for query in queries:
        answer = signed.call("admin", "GET", f"/api/admin/jobs?{query}")
        assert is_problem(answer, 422), (query, answer.text)
        answers.append(answer.status_code)
    attacks.note("A36", "twelve queries of the dashboard", answers)
    answers = []
    for text in ("%%%%", "_", "\\", "'", '"', "%' or 1=1--", "%25"):
        answer = signed.call("admin", "GET", "/api/admin/jobs", params={"text": text})
        assert answer.status_code == 200, answer.text
        answers.append(answer.status_code)
        if len(text) > 1:  # which stands in no job
            assert answer.json()["items"] == []
    attacks.note("A37", "seven texts with characters that mean something to LIKE", answers)


def test_a43_forged_messages(signed: Site, attacks: Attacks) -> None:
    from azure.storage.queue import QueueClient

    job = signed.start("ann", prefix="forged")
    done = finished(signed, "ann", job["id"])
    storage: str = signed.stack.settings()["QueuesConn"]
    bodies = [
        b"",
        b"x",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 30_000,
        *(
            json.dumps({"v": 1, "id": key, "gen": gen}).encode()
            for key in (job["id"], "01a20f71-90cb-7027-842a-5ce2fd999aaa", "x", 5, None)
            for gen in (1, 2, 0, -1, 2**63, "1", 1.5, None)
        ),
    ]
    import base64

    with QueueClient.from_connection_string(storage, "packer") as queue:
        for body in bodies:
            queue.send_message(base64.b64encode(body).decode())
        queue.send_message("no base64 !")
        wait_until(lambda: not queue.get_queue_properties().approximate_message_count, "all of them are taken")
    assert finished(signed, "ann", job["id"]) == done
    attacks.note(
        "A43", "queue messages: garbage, forged, old and impossible generations", ["no effect"] * (len(bodies) + 1)
    )


def test_a44_what_the_state_does_not_allow(signed: Site, zipped: tuple[str, str], attacks: Attacks) -> None:
    key, _ = zipped
    answers = []
    for method, tail in (("POST", "/retry"), ("POST", "/cancel")):
        answer = signed.call("ann", method, f"/api/jobs/{key}{tail}")
        assert is_problem(answer, 409), answer.text
        answers.append(answer.status_code)
    attacks.note("A44", "retry of a succeeded job, cancel of an ended one", answers)
