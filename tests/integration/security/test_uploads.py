"""Names, sizes and links of uploads, and the files of others."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.security.conftest import Attacks, Site, is_problem
from tests.support.waiting import wait_until

REFUSED = [
    *("../x", "a/../b", "/abs", "a//b", "a/", "/", ".", "..", "a/./b", "a\\b", "..\\x", "\\\\server\\x"),
    *("a\nb", "a\0b", "a\u202eb", "\u200b", "a\u00a0b", "a\ud800", "x" * 401, "", "sealed:1:x"),
]
TAKEN = [
    *("C:x", "con.txt", "...", " ", "a.", "%2e%2e/x", "a%2fb", "a?b#c", "a&sig=x", "<svg>", "\uff0e\uff0e/x"),
    *("\u2024\u2024/x", "\u2215x", "é" * 400, "😀" * 400),
]


def listed(*names: Any, size: Any = 1) -> dict[str, Any]:
    return {"files": [{"name": name, "size": size} for name in names]}


def test_a32_names_and_sizes(signed: Site, attacks: Attacks) -> None:
    bodies = [listed(name) for name in REFUSED]
    bodies += [listed("a", size=size) for size in (-1, "1", 1.0, True, None, 10**30, 200 * 1024**2 + 1)]
    bodies += [
        listed(),
        listed("a", "a"),
        listed("\u00e9", "e\u0301"),
        listed(*map(str, range(1_001))),
        listed(*map(str, range(6)), size=200 * 1024**2),
        listed(["a"]),
        listed(None),
        {"files": {"name": "a", "size": 1}},
        {"files": [{"name": "a", "size": 1, "container": "results"}]},
        {"files": [{"name": "a", "size": 1}], "prefix": "x/"},
    ]
    answers = []
    for body in bodies:
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = signed.call("ann", "POST", "/api/uploads", content=content, headers=headers)
        assert is_problem(answer, 422), (body, answer.text)
        answers.append(answer.status_code)
    attacks.note("A32", "names and sizes of files that are refused", answers)
    ids = signed.user_id("ann")
    answer = signed.call("ann", "POST", "/api/uploads", json=listed(*TAKEN)).raise_for_status()
    for target in answer.json()["files"]:
        put = httpx.put(target["url"], content=b"x", headers=target["headers"], trust_env=False)
        assert put.status_code == 201, (target["name"], put.text)
        assert f"/uploads/{ids}/{answer.json()['prefix']}" in target["url"]
    job = signed.start("ann", prefix=answer.json()["prefix"])
    ended = wait_for_end(signed, "ann", job["id"])
    assert (ended["status"], ended["result"]["files"]) == ("succeeded", len(TAKEN))
    attacks.note("A33", "odd names that are taken: uploaded and zipped", [201] * len(TAKEN))


def wait_for_end(site: Site, who: str, key: str) -> dict[str, Any]:
    def read() -> dict[str, Any]:
        found: dict[str, Any] = site.call(who, "GET", f"/api/jobs/{key}").json()
        return found

    wait_until(lambda: read()["finishedAt"] is not None, "it ends")
    return read()


def test_a35_a_link_to_upload_does_one_thing_only(signed: Site, attacks: Attacks) -> None:
    target = signed.call("ann", "POST", "/api/uploads", json=listed("a.txt")).json()["files"][0]
    link, headers = target["url"], target["headers"]
    assert httpx.put(link, content=b"abc", headers=headers, trust_env=False).status_code == 201
    address, _, query = link.partition("?")
    root = address.partition("/uploads/")[0]
    tries = {
        "read": ("GET", link),
        "delete": ("DELETE", link),
        "list": ("GET", f"{root}/uploads?restype=container&comp=list&{query}"),
        "open to all": ("PUT", f"{root}/uploads?restype=container&comp=acl&{query}"),
        "beside it": ("PUT", f"{address.rpartition('/')[0]}/other?{query}"),
        "another user's": ("PUT", f"{root}/uploads/{signed.user_id('bob')}/x?{query}"),
        "a result": ("PUT", f"{root}/results/x/1.zip?{query}"),
        "out of it": ("PUT", f"{address}/../../x?{query}"),
        "more rights": ("PUT", f"{address}?{query.replace('sp=c&', 'sp=rcwdl&')}"),
        "later": ("PUT", f"{address}?{query.replace('se=20', 'se=21')}"),
        "unsigned": ("PUT", address),
        "again": ("PUT", link),
        "a block": ("PUT", f"{link}&comp=block&blockid=AAAA"),
        "other metadata": ("PUT", f"{link}&comp=metadata"),
        "another tier": ("PUT", f"{link}&comp=tier"),
        "a lease": ("PUT", f"{link}&comp=lease"),
        "other properties": ("PUT", f"{link}&comp=properties"),
    }
    answers = []
    for name, (method, url) in tries.items():
        content = b"evil" if method == "PUT" else None
        extra = {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1", "x-ms-access-tier": "Archive"}
        sent = {} if method != "PUT" else headers | (extra if "comp=" in url else {})
        answer = httpx.request(method, url, content=content, headers=sent, trust_env=False)
        assert answer.status_code in (403, 404), (name, answer.status_code, answer.text)
        answers.append(answer.status_code)
    attacks.note("A35", "a link to upload for seventeen other things", answers)


@pytest.mark.parametrize("kind", ["packer", "importer"])
def test_a31_the_files_of_others(signed: Site, attacks: Attacks, kind: str) -> None:
    place = signed.call("bob", "POST", "/api/uploads", json=listed("secret.csv")).json()
    target = place["files"][0]
    httpx.put(target["url"], content=b"a\n1\n", headers=target["headers"], trust_env=False).raise_for_status()
    bob, prefix = signed.user_id("bob"), place["prefix"]
    answers = []
    for tried in (
        prefix,
        f"{bob}/{prefix}",
        f"/{bob}/{prefix}",
        f"../{bob}/{prefix}",
        f"%2e%2e/{bob}/",
        f"\u2024\u2024/{bob}/",
    ):
        answer = signed.call("ann", "POST", f"/api/jobs/{kind}", json={"prefix": tried})
        if answer.status_code == 202:
            ended = wait_for_end(signed, "ann", answer.json()["id"])
            assert ended["error"]["class"] in ("NothingToZip", "NothingToImport"), (tried, ended)
            answers.append(ended["error"]["class"])
        else:
            assert is_problem(answer, 422), tried
            answers.append("422")
    attacks.note("A31", f"another user's files by six prefixes, {kind}", answers)
