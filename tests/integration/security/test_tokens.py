"""Tokens that are wrong in every way, and routes without one."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.security.conftest import Attacks, Site, is_problem
from tests.support.issuer import AUDIENCE, Issuer, unsigned

PUBLIC = {("POST", "/api/session"), ("GET", "/api/health")}
BODIES: list[dict[str, Any]] = [
    {},
    {"json": {}},
    {"content": b"{", "headers": {"Content-Type": "application/json"}},
    {"content": b"x" * 70_000, "headers": {"Content-Type": "application/json"}},
    {"content": b"<x/>", "headers": {"Content-Type": "text/xml"}},
]


def refused(answer: httpx.Response) -> bool:
    return is_problem(answer, 401) and answer.headers["www-authenticate"] == "Bearer"


def test_a1_without_a_token_every_route_is_401_whatever_comes_with_it(site: Site, attacks: Attacks) -> None:
    found = [(method, path) for method, path, _ in site.operations() if (method, path) not in PUBLIC]
    assert len(found) >= 23
    answers = []
    for method, path in found:
        for body in BODIES if method == "POST" else BODIES[:1]:
            answer = site.call(None, method, path, **body)
            assert refused(answer), (method, path, body, answer.text)
            answers.append(answer.status_code)
    attacks.note("A1", "every route without a token, with five bodies", answers)


def tried(site: Site, tokens: dict[str, str]) -> list[int]:
    """Send each token to a reading, an acting and an admin route; returns the answers."""
    answers = []
    for name, token in tokens.items():
        for method, path in [("GET", "/api/jobs/mine"), ("POST", "/api/jobs/packer"), ("GET", "/api/admin/jobs")]:
            headers = {"Authorization": f"Bearer {token}"}
            answer = site.http.request(method, path, headers=headers, json={} if method == "POST" else None)
            assert refused(answer), (name, method, path, answer.status_code, answer.text)
            answers.append(answer.status_code)
    return answers


@pytest.fixture(scope="module")
def evil() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_what_is_right_is_taken(signed: Site, issuer: Issuer) -> None:
    good = {
        "plain": issuer.token(),
        "another key": issuer.token(key="curve"),
        "access token": issuer.token(header={"typ": "at+jwt"}),
        "one audience of several": issuer.token(aud=["x", AUDIENCE]),
        "just expired": issuer.token(exp=int(time.time()) - 20),
        "a clock ahead": issuer.token(nbf=int(time.time()) + 20, iat=int(time.time()) + 20),
        "roles in one text": issuer.token(roles="user other"),
    }
    for name, token in good.items():
        answer = signed.http.get("/api/jobs/mine", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, (name, answer.text)


def test_a2_a3_signed_by_nobody_or_with_the_public_key(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    claims = issuer.claims(roles=["admin"])
    none = {
        name: unsigned({"alg": name, "typ": "JWT", "kid": "first"}, claims)
        for name in ("none", "None", "nOnE", "", "NONE")
    }
    none["stripped"] = issuer.token().rpartition(".")[0] + "."
    attacks.note("A2", "alg none in five spellings, and a stripped signature", tried(signed, none))
    public = issuer.keys["first"].public_key()
    secrets = {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "PKCS1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "JWK": str(issuer.public("first")).encode(),
        "n": issuer.public("first")["n"].encode(),
        "empty": b"",
    }
    confused = {}
    for name, secret in secrets.items():
        for algorithm in ("HS256", "HS384", "HS512"):
            header = {"alg": algorithm, "typ": "JWT", "kid": "first"}
            signing_input = unsigned(header, claims).rpartition(".")[0]
            signature = jwt.get_algorithm_by_name(algorithm).sign(signing_input.encode(), secret)
            confused[f"{algorithm} {name}"] = unsigned(header, claims, signature)
    attacks.note("A3", "HS256/384/512 keyed with the public key in six forms", tried(signed, confused))


def test_a4_keys_that_the_token_brings_along(
    signed: Site, issuer: Issuer, attacks: Attacks, evil: rsa.RSAPrivateKey
) -> None:
    with Issuer() as attacker:
        attacker.keys["first"] = evil
        jwk = attacker.public("first")
        headers: dict[str, dict[str, Any]] = {
            "jwk": {"jwk": jwk},
            "jku": {"jku": f"{attacker.url}/keys"},
            "x5u": {"x5u": f"{attacker.url}/keys"},
            "all": {"jwk": jwk, "jku": f"{attacker.url}/keys", "x5u": f"{attacker.url}/keys", "x5c": ["MIIB"]},
            "path": {"kid": "../../x"},
            "long": {"kid": "k" * 10_000},
            "url": {"kid": f"{attacker.url}/keys"},
            "sql": {"kid": "' or 1=1 --"},
            "unknown critical": {"crit": ["x"], "x": 1},
        }
        tokens = {
            name: jwt.encode(
                issuer.claims(roles=["admin"]), evil, algorithm="RS256", headers={"kid": "first", **header}
            )
            for name, header in headers.items()
        }
        tokens["kid is not a string"] = unsigned(
            {"alg": "RS256", "typ": "JWT", "kid": ["first"]}, issuer.claims(), b"x"
        )
        tokens["no kid"] = jwt.encode(issuer.claims(), evil, algorithm="RS256")
        tokens["another type"] = issuer.token(header={"typ": "dpop+jwt"})
        tokens["another algorithm"] = jwt.encode(
            issuer.claims(), issuer.keys["first"], algorithm="PS256", headers={"kid": "first"}
        )
        tokens["the curve's name on a key of RSA"] = jwt.encode(
            issuer.claims(), issuer.keys["first"], algorithm="RS256", headers={"kid": "curve"}
        )
        attacks.note("A4", "jwk, jku, x5u, x5c, crit, wrong typ, odd kids", tried(signed, tokens))
        assert not attacker.fetched, "the server asked the attacker for a key"


def test_a5_a6_claims(signed: Site, invited: Site, issuer: Issuer, attacks: Attacks) -> None:
    now = int(time.time())
    times = {
        "expired": issuer.token(exp=now - 3600),
        "not yet": issuer.token(nbf=now + 3600),
        "made in the future": issuer.token(iat=now + 3600),
        "without an end": issuer.token(exp=None),
        "an end that is not a number": issuer.token(exp="x"),
        "without a beginning": issuer.token(iat=None),
        "of nobody": issuer.token(sub=None),
        "of an empty name": issuer.token(sub=""),
        "of a number": unsigned({"alg": "RS256", "typ": "JWT", "kid": "first"}, issuer.claims(sub=5), b"x"),
        "of a long name": issuer.token(sub="s" * 2048),
    }
    attacks.note("A5", "exp, nbf, iat, sub wrong or missing", tried(signed, times))
    others = {
        "audience": issuer.token(aud="other"),
        "no audience": issuer.token(aud=None),
        "part of the audience": issuer.token(aud=AUDIENCE[:-1]),
        "issuer": issuer.token(iss="https://evil.example"),
        "issuer with a slash": issuer.token(iss=issuer.url + "/"),
        "no issuer": issuer.token(iss=None),
        "guest": invited.token("guest"),
        "admin by link": invited.token("admin"),
    }
    attacks.note("A6", "audience and issuer wrong, guests' tokens", tried(signed, others))
    attacks.note("A6", "tokens of the issuer, sent to the site with links", tried(invited, {"oidc": issuer.token()}))
    secret = invited.stack.settings()["SESSION_SECRET"]
    claims = {"iss": "qj-guest", "aud": "queued-jobs", "sub": "guest:1", "role": "admin", "iat": now, "exp": now + 60}
    forged = {
        "secret": jwt.encode(claims, secret, algorithm="HS256"),
        "link": jwt.encode(claims, invited.stack.invite, algorithm="HS256"),
        "none": unsigned({"alg": "none", "typ": "JWT"}, claims),
        "garbage": "a.b.c",
        "long": "x" * 20_000,
    }
    attacks.note("A6", "sessions forged with the secrets of links", tried(invited, forged))


def signed_by_hand(issuer: Issuer, header: dict[str, Any] | bytes, payload: dict[str, Any] | bytes) -> str:
    """Return a token with a good signature over what no library would sign."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = jwt.get_algorithm_by_name("RS256").sign(text.encode(), issuer.keys["first"])
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_a4_headers_of_odd_types(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    good = {"alg": "RS256", "typ": "JWT", "kid": "first"}
    odd: dict[str, list[Any]] = {
        "kid": [["first"], {"kid": "first"}, 1, None, "", "First", "first\0", "\ud800", " first"],
        "alg": [["RS256"], {}, None, "rs256", "PS256", "RS512", "ES256", "EdDSA", "HS256", 256],
        "typ": [1, ["JWT"], None, "id_token+jwt", "logout+jwt", "secevent+jwt", "JWE", "jwt "],
        "crit": [[], ["exp"], "exp", None],
        "b64": [False],
    }
    changes = [{name: value} for name, values in odd.items() for value in values]
    changes.append({"b64": False, "crit": ["b64"]})
    tokens = {str(change): signed_by_hand(issuer, {**good, **change}, issuer.claims()) for change in changes}
    for text in (b"[]", b'"x"', b"null", b"", b"\xff", b"[" * 3_000, b'{"alg":"RS256","kid":' + b"9" * 5_000 + b"}"):
        tokens[repr(text[:20])] = signed_by_hand(issuer, text, issuer.claims())
    tokens["nested"] = signed_by_hand(issuer, {**good, "cty": "JWT"}, issuer.token().encode())
    tokens["encrypted"] = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiZmlyc3QifQ..AAAA.AAAA.AAAA"
    tokens["five parts"] = f"{issuer.token()}.AAAA.AAAA"
    attacks.note("A4", "headers of odd types, nested and encrypted tokens", tried(signed, tokens))


def test_a5_a6_claims_of_odd_types(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    header = {"alg": "RS256", "typ": "JWT", "kid": "first"}
    now, nan, endless = int(time.time()), float("nan"), float("inf")
    odd: dict[str, list[Any]] = {
        "exp": [str(now + 600), "x", "", [now + 600], {}, True, nan, endless, -endless, -1, 0, 10**30, 10**400, 1e300],
        "iat": ["yesterday", [1], {}, nan, endless, -endless, now + 10**8],
        "nbf": ["x", [], nan, endless, now + 10**8],
        "aud": [[], [1, AUDIENCE], [[AUDIENCE]], {AUDIENCE: 1}, AUDIENCE.upper(), f"{AUDIENCE}/", f"x {AUDIENCE}", 5],
        "iss": [[issuer.url], {issuer.url: 1}, issuer.url.upper(), issuer.url[:-1], "", 5],
        "sub": [1, ["ann"], {"a": 1}, True, "", "\ud800", "x\udfff", "s" * 256],
    }
    tokens = {
        f"{name} {str(value)[:30]}": signed_by_hand(issuer, header, issuer.claims(**{name: value}))
        for name, values in odd.items()
        for value in values
    }
    tokens |= {f"{name} null": signed_by_hand(issuer, header, {**issuer.claims(), name: None}) for name in odd}
    tokens.pop("nbf null")  # may be left out
    for text in (b"[]", b'"x"', b"\xff", b"[" * 5_000):
        tokens[repr(text[:20])] = signed_by_hand(issuer, header, text)
    attacks.note("A5", "exp, iat, nbf, aud, iss and sub of odd types", tried(signed, tokens))


def test_a6_tokens_that_are_for_something_else(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    tokens = {
        "ID token for the page": issuer.token(aud="page", nonce="n"),
        "ID token for both": issuer.token(aud=[AUDIENCE, "page"], nonce="n", azp="page"),
        "ID token by its hash": issuer.token(at_hash="x"),
        "ID token by the code's": issuer.token(c_hash="x", scope="openid"),
        "ID token by its type": issuer.token(typ="ID", scope="openid"),
        "refresh token": issuer.token(typ="Refresh"),
        "logout token": issuer.token(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    }
    attacks.note("A6", "the same issuer's tokens for other uses", tried(signed, tokens))


def test_nobody_becomes_another_by_claims_that_only_entra_gives(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    ids = set()
    for name in ("ann", "bob"):
        token = issuer.token(name, tid="a-tenant", oid="the-admin")
        answer = signed.http.post("/api/negotiate", headers={"Authorization": f"Bearer {token}"})
        claims = jwt.decode(answer.json()["accessToken"], options={"verify_signature": False})
        ids.add(claims["nameid"])
    assert ids == {issuer.user_id("ann"), issuer.user_id("bob")}
    attacks.note("A11", "tid and oid of another person in tokens of another provider", ["one's own"] * 2)


def test_a7_identity_headers_of_a_platform(site: Site, attacks: Attacks) -> None:
    forged = {
        "X-MS-CLIENT-PRINCIPAL": "eyJhZG1pbiI6dHJ1ZX0=",
        "X-MS-CLIENT-PRINCIPAL-ID": "admin",
        "X-MS-CLIENT-PRINCIPAL-NAME": "admin",
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "X-MS-TOKEN-AAD-ID-TOKEN": "x",
        "X-MS-TOKEN-AAD-ACCESS-TOKEN": "x",
        "X-Forwarded-User": "admin",
        "Cookie": "AppServiceAuthSession=x",
    }
    answers = []
    for path in ("/api/jobs/mine", "/api/admin/jobs", "/api/admin/stats"):
        for headers in [forged, *({name: value} for name, value in forged.items())]:
            answer = site.call(None, "GET", path, headers=headers)
            assert refused(answer)
            answers.append(answer.status_code)
    attacks.note("A7", "eight headers, alone and together", answers)
    assert is_problem(site.call("ann", "GET", "/api/admin/jobs", headers=forged), 403)


def test_a9_unknown_keys_cause_one_fetch(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    signed.call("ann", "GET", "/api/jobs/mine")
    evil = rsa.generate_private_key(65537, 2048)
    tokens = [
        jwt.encode(issuer.claims(), evil, algorithm="RS256", headers={"kid": f"unknown-{number}"})
        for number in range(1_000)
    ]
    before, started = issuer.fetched["/keys"], time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda token: signed.http.get("/api/jobs/mine", headers={"Authorization": f"Bearer {token}"}), tokens
            )
        )
    spans = 1 + (time.monotonic() - started) // 30
    assert issuer.fetched["/keys"] - before <= spans
    assert all(refused(answer) for answer in answers)
    attacks.note("A9", f"unknown keys; fetches: {issuer.fetched['/keys'] - before}", [a.status_code for a in answers])


def test_a13_roles(site: Site, attacks: Attacks) -> None:
    admin = [(method, path) for method, path, _ in site.operations() if path.startswith("/api/admin")]
    assert len(admin) >= 10
    answers = []
    for method, path in admin:
        for query in ("", "?nothing=1"):
            answer = site.call("ann", method, path + query, json={} if method == "POST" else None)
            assert is_problem(answer, 403), (method, path, answer.text)
            answers.append(answer.status_code)
    attacks.note("A13", "a user on every admin route", answers)


def test_a13_viewers_and_those_without_a_role(signed: Site, issuer: Issuer, attacks: Attacks) -> None:
    answers = []
    for method, path, _ in signed.operations():
        if path.startswith("/api/admin"):
            answer = signed.call("viewer", method, path, json={} if method == "POST" else None)
            assert answer.status_code == 403 if method == "POST" else answer.status_code in (200, 404), (method, path)
            answers.append(f"{method} {answer.status_code}")
    attacks.note("A13", "a viewer on every admin route", answers)
    refusals = []
    odd = [
        "Admin",
        "user,admin",
        "user\nadmin",
        "user\u00a0admin",
        '["admin"]',
        ["admin "],
        ["admin\0"],
        ["\u0430dmin"],
        True,
    ]
    many = [f"role-{number}" for number in range(800)]
    for roles in (None, [], ["root"], {"admin": True}, 5, [["admin"]], [None], many, *odd):
        token = issuer.token("norole", roles=roles)
        answer = signed.http.get("/api/jobs/mine", headers={"Authorization": f"Bearer {token}"})
        assert is_problem(answer, 403), roles
        refusals.append(answer.status_code)
    attacks.note("A13", "tokens without any of our roles", refusals)
