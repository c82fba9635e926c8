"""Credentials in texts: what is hidden, and what stays."""

from __future__ import annotations

import json
import random
import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from queued_jobs.redact import SIGNS_OF_SECRETS, mask_secrets, redact_json, to_storable_text

CREDENTIALS = [
    "https://a.blob.example/c/b?se=2026&sig=SECRET%2Babc&sp=r",
    "AccountName=x;AccountKey=SECRET==;EndpointSuffix=y",
    "AccessKey=SECRET;Version=1.0",
    "password=SECRET host=db",
    'password: "SECRET"',
    "Authorization: Bearer SECRET.abc-def",
    "postgresql://me:SECRET@host/db",
    '{"client_secret": "SECRET"}',
    "MY_API_KEY=SECRET",
    "PGPASSWORD=SECRET psql",
    "db_password: SECRET",
    "refresh_token=SECRET",
    "postgresql://:SECRET@host/db",
    "postgresql://me:x@SECRET@host/db",
    "password='a SECRET b'",
    "x-functions-key: SECRET",
    "got eyJhbGciOiJIUzI1NiJ9.SECRET.abc back",
]
#: Those that an earlier pattern let through, all or a part of them.
HARDER = [
    "password=x@SECRET host=db",
    "postgresql://me:a&SECRET@host/db",
    "postgresql://me:x@a/SECRET@host/db",
    '{"password": "a\\"SECRET"}',
    "{'password': 'it\\'s SECRET'}",
    "password='it''s SECRET'",
    '{"body": "{\\"password\\": \\"SECRET\\"}"}',
    '{"body": "{\\\\\\"token\\\\\\": \\\\\\"SECRET\\\\\\"}"}',
    'password="SECRET',
    "account_key=SECRET",
    "access-key: SECRET",
    "private_key=SECRET",
    "passphrase: SECRET",
    "Bearer token: SECRET",
    "token: Bearer SECRET",
    "got eyJhbGciOiJIUzI1NiJ9SECRET back",
    'password=""SECRET',
    "password='a'SECRET host=db",
    'password=\\"a\\"SECRET',
]
#: The pattern of earlier versions, which took a time that grew as the square of the text.
EARLIER = re.compile(
    r"""(?ix)
    (?P<name>
        (?:\bsig|AccountKey|AccessKey|SharedAccessKey|SharedAccessSignature|password|passwd|pwd|secret|token
           |api[_-]?key|functions-key)
        ["']?\s*[=:]\s*
      | \b(?:Bearer|Basic|SharedKey)\s+
      | ://[^/\s:@]*:(?=[^/\s]+@)
      | (?=\beyJ[\w-]{8,}\.[\w-]+\.)
    )
    (?P<value>"[^"]*" | '[^']*' | [^\s"'&;,<>]+(?=@[\w.-]+(?:[:/?\s]|$)) | [^\s"'&;,<>@]+)
    """
)
AROUND = ["{}", "Error: {} (409)", "[{}]", "a\n{}\nb", "{}, then more", "  File 'x.py', line 3\n    call({})\n", "‑{}‑"]
#: What may stand in a secret.
TEXTS = [
    "Zx9%2Fq",
    "a-b_c.d~e",
    "p4$$w0rd!",
    "AAAAB3NzaC1yc2E/+8=",
    "correct:horse",
    "ünïcødé",
    "x" * 90,
    "1#2|3",
    "(a)[b]{c}",
]


class TestCredentials:
    @pytest.mark.parametrize("text", CREDENTIALS + HARDER)
    def test_they_are_masked(self, text: str) -> None:
        assert "SECRET" not in mask_secrets(text)
        assert "***" in mask_secrets(text)

    @pytest.mark.parametrize("text", CREDENTIALS + HARDER)
    def test_they_are_masked_wherever_the_text_is_cut(self, text: str) -> None:
        text = text.replace("SECRET", "S" * 3_000)
        for before in range(0, 60, 7):
            shown = to_storable_text("x" * before + text, 50 + len(text) - 3_000)
            assert "SSSS" not in shown
            assert len(shown) <= 50 + len(text) - 3_000

    @pytest.mark.parametrize("template", CREDENTIALS)
    def test_none_shows_that_an_earlier_pattern_hid(self, template: str) -> None:
        for secret in TEXTS:
            for around in AROUND:
                text = around.format(template.replace("SECRET", secret))
                earlier = EARLIER.sub(lambda found: f"{found['name']}***", text)
                assert _left(secret, mask_secrets(text)) <= _left(secret, earlier), text

    def test_none_shows_among_others(self) -> None:
        dice = random.Random(1)
        for _ in range(3_000):
            parts = [
                template.replace("SECRET", f"Q{number}Q")
                for number, template in enumerate(dice.choices(CREDENTIALS, k=dice.randint(2, 6)))
            ]
            text = dice.choice(["\n", "  ", ", ", " and "]).join(parts)
            earlier = EARLIER.sub(lambda found: f"{found['name']}***", text)
            shown = {*re.findall(r"Q\d+Q", mask_secrets(text))}
            assert shown <= {*re.findall(r"Q\d+Q", earlier)}, text

    @pytest.mark.parametrize(
        "text",
        [
            "a signal came",
            "design=flat",
            "passwords are fine",
            "5 tokens left",
            "http://localhost:8080/a",
            "https://me@host/a",
            "at 12:30@noon",
            "the key: a metaphor",
            'File "x.py", line 3, in token',
        ],
    )
    def test_ordinary_words_stay(self, text: str) -> None:
        assert mask_secrets(text) == text

    def test_the_host_of_an_address_stays(self) -> None:
        assert mask_secrets("no answer from postgresql://me:a@b@host:5432/db?x=y") == (
            "no answer from postgresql://me:***@host:5432/db?x=y"
        )

    def test_an_open_quote_hides_its_line_alone(self) -> None:
        assert mask_secrets("token: 'tis missing\nline 2") == "token: ***\nline 2"


class TestTwice:
    """A text is often masked when it is stored and again when it is read: it must not change then."""

    PIECES = (
        *("password", "sig", "token", "Bearer ", "Basic ", "SharedKey ", "eyJhbGciOiJI", "=", ": ", ":", "***", "**"),
        *('"', "'", '""', "''", "\\", "\u2026", "}", ")", "]", ".", "!", "?", "*", "/", "&", ";", ",", "<", "\n", " "),
        *("\r\n", "a", "\0", "\ud800", "\u061c", "\x9b", "x" * 30),
    )
    TEXTS = st.tuples(
        st.lists(st.sampled_from(PIECES) | st.characters(), max_size=12).map("".join),
        st.sampled_from(["", "://me:hush@host", "://me:hush"]),
        st.lists(st.sampled_from(PIECES) | st.characters(exclude_characters="@"), max_size=6).map("".join),
    ).map("".join)

    @settings(max_examples=1_000)
    @given(TEXTS.filter(lambda text: text.count("@") <= 1), st.integers(5, 60))
    @example("token: ''\u2026", 60)
    @example("token: ***\u2026", 60)
    @example("token: abc and more, which is cut", 12)
    @example('{"a": {"token": "abc"}}', 60)
    def test_it_does_not_change(self, text: str, limit: int) -> None:
        for masked in (mask_secrets, redact_json, lambda text: to_storable_text(text, limit)):
            once = masked(text)
            assert masked(once) == once

    def test_brackets_and_full_stops_stay(self) -> None:
        for text in ('{"token": ***}', "call(token=***)", "wrong (token: ***).", "token: ***\u2026"):
            assert mask_secrets(text.replace("***", '"abc"')) == text == mask_secrets(text)


class TestStorable:
    def test_what_cannot_be_stored_is_replaced(self) -> None:
        assert to_storable_text("a\0b\ud800c\x1b[31m\u202ed", 100) == "a\ufffdb?c\ufffd[31m\ufffdd"

    def test_no_character_controls_a_terminal_or_the_direction_of_text(self) -> None:
        controls = {character for character in map(chr, range(0xD800)) if unicodedata.category(character) == "Cc"}
        turning = {character for character in map(chr, range(0xD800)) if is_turning(character)}
        assert len(turning) == 12
        for character in (controls | turning) - {"\t", "\n"}:
            assert to_storable_text(f"a{character}b", 10) == "a\ufffdb", hex(ord(character))

    def test_long_text_is_cut(self) -> None:
        assert to_storable_text("x" * 11, 10) == "x" * 9 + "\u2026"

    @given(st.text(max_size=50), st.integers(1, 5_000), st.integers(1, 60))
    def test_what_was_left_out_is_marked(self, unit: str, times: int, limit: int) -> None:
        text = unit * times
        shown = to_storable_text(text, limit)
        assert len(shown) <= limit
        shown.encode()
        assert shown.endswith("\u2026") or len(text.replace("\r\n", "\n")) <= 5_000


class TestJson:
    def test_it_is_masked_by_names_and_by_texts(self) -> None:
        stored = {
            "password": "a",
            "n": {"apiKey": 1, "text": "sig=SECRET"},
            "list": ["pwd=SECRET", 1, None],
            "secret": "",
        }
        assert redact_json(stored) == {
            "password": "***",
            "n": {"apiKey": "***", "text": "sig=***"},
            "list": ["pwd=***", 1, None],
            "secret": "",
        }

    def test_names_are_texts_too(self) -> None:
        assert "SECRET" not in json.dumps(redact_json({"https://x/?sig=SECRET": {"token=SECRET": 1}}))

    def test_the_end_of_a_long_name_counts(self) -> None:
        assert redact_json({"x" * 100_000 + "_password": "SECRET"}).popitem()[1] == "***"


def is_turning(character: str) -> bool:
    """Return whether it is one of the invisible characters that change the direction of what follows."""
    # the Syriac abbreviation mark is visible
    return (
        unicodedata.category(character) == "Cf"
        and unicodedata.bidirectional(character) not in ("BN", "ON", "AN")
        and character != "\u070f"
    )


def _left(secret: str, text: str) -> int:
    """Return how much of the secret's beginning or end is there."""
    return (
        max(
            (size for size in range(len(secret) + 1) if secret[:size] in text or (size and secret[-size:] in text)),
            default=0,
        )
        if len(secret) > 3
        else int(secret in text)
    )


class TestSigns:
    """A search in Postgres compares only texts without these; the others it compares without their secrets."""

    PIECES = (
        *("password", "Passwd", "passphrase", "PWD", "sig", "signature", "SIG", "ſig", "sıg", "token", "toKen"),
        *("api_key", "AccountKey", "functions-key", "shared access signature", "private_key", "secret", "ſecret"),
        *("Bearer ", "Basic ", "BAſİC ", "SharedKey ", "eyJhbGciOiJIUzI1NiJ9", "https://me:", "x@", "=", ": ", ":"),
        *('"', "'", "\\", "\u00a0", "\n", " ", "hunter2", "a", "-", ";", "&"),
    )

    @given(st.lists(st.sampled_from(PIECES) | st.characters(), max_size=12).map("".join))
    def test_whatever_is_masked_has_a_sign(self, text: str) -> None:
        for value in (text, {text: "hunter2"}, {"a": [{text: 1}, text]}):
            if redact_json(value) != value:
                assert re.search(SIGNS_OF_SECRETS, json.dumps(value, ensure_ascii=False), re.IGNORECASE)
