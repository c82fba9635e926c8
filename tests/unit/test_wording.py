"""The tree is written in plain, idiomatic technical English: phrases that must not occur, with the better wording."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Not ours, or generated; applied migrations must never change.
EXCLUDED = re.compile(
    r"^(web/vendor/|locks/|LICENSE$|queued_jobs/sql/migrations/|tests/unit/test_wording\.py$)"
    r"|(package-lock\.json|go\.(mod|sum)|times\.json)$"
)

#: What must not occur (case-sensitive), and what to write instead.
BETTER: dict[str, str] = {
    # messages and sentences
    r"stopped without a word": "The worker stopped responding during attempt 2.",
    r"is no address of a Postgres": "is not a valid Postgres connection string",
    r"is no number (from|of)": "must be a whole number from 1 to 999999, not '0'; omit it to use 10",
    r"\bleave it out for\b": "omit it to use",
    r"lets nobody in": "this stack requires sign-in",
    r"\bMend\b|\bmend(s|ed|ing)?\b": "fix, repair",
    r"see that \./scripts/dev starts": "Fix the file and check that ./scripts/dev starts.",
    r"So many jobs wait|no more are taken": "The backlog is full: no new jobs are accepted.",
    r"of whomever|\bwhomever\b": "of any user",
    r"do not allow a start": "Invalid settings, the app cannot start:",
    r"From here on": "Waits of at least this long are logged as warnings.",
    r"worth a word": "is logged",
    r"Report a hole|known holes?\b": "Report a vulnerability; check for known vulnerabilities",
    r"knock at": "any workload in Azure can reach the database port",
    r"\bas nobody but\b": "Return the hub URL and a token bound to the caller's user id.",
    r"\bGiB together\b": "in total",
    r"\b[Mm]ail address": "email address",
    r"\bReturn for each\b": "Return the ..., each with ..., or: Map each ... to ...",
    r"\b(in|of|with) profile `?(dev|prod)\b|[^-]\bprofile prod (is|requires)\b": "the `prod` profile",
    r"\bthe header `?[A-Z][a-z]+-|\b[Tt]he command (`|scripts/|lint-)": "the `X-Y` header, the `scripts/x` command",
    # names
    r"\bat_once\b": "max_concurrent",
    r"\ba_day\b": "per_day",
    r"\b_?MOST_[A-Z]+": "MAX_...",
    r"\b_AWAY\b": "_UNAVAILABLE",
    r"\b_NEVER_AGAIN\b": "_PERMANENT",
    r"\bdef (viewing|administering)\(": "require_viewer, require_admin",
    r"(?<!-)\b(parts|when|address|files|own-globals)\.js\b": "widgets, time-format, url-state, download, ...",
    # the commonest patterns
    r"\bTell whether\b": "Return whether",
    r"(?<!there )(?<!There )\b(is|are|was|were) no (?!longer\b|more\b)[\w']+": "is not a ..., is not a valid ...",
    r"\bcannot be (a|an) (stack's name|subject|name)\b": "is not a valid ...",
    r"without a word": "silently, without logging it",
    r"\banew\b|\bafresh\b": "again",
    r"\b[Ss]tand-ins?\b": "emulator",
    r"\b[Bb]y hand\b": "manually",
    r"\bso many\b": "at most this many, N",
    r"\bof (one's|ones) own\b": "its own, your own",
    r"\bin the place of\b": "in place of",
    r"\bin vain\b": "without success",
    r"\bnobody is there\b": "there is no terminal",
    r"\bword for word\b(?! in)": "exactly, verbatim",
    r"\bto the letter\b": "exactly",
    r"\bgoes? on with\b": "continue with",
    r"\bhow far it is\b": "progress",
    r"\bminted\b": "created",
    r"\bany ?more\b": "no longer",
    r"\b([Aa]n)?other ([a-z-]+ ){1,3}than\b": "a different X than, an X that is not",
    r"\bfor the time of\b": "during, while",
    r"(?<!the )\bmeantime\b": "in the meantime",
    r"\bof (yours|theirs|ours|mine)\b": "one of your statements, our own",
    r"\bsome (seconds|minutes|hours|days)\b": "a few minutes",
    r"\btool chains?\b": "toolchain",
    r"\ban? \{(type\(|[\w.]*__name__)": "of type X, returned X: the article depends on the name",
}
#: The same, but not looked for in tests.
BETTER_OUTSIDE_TESTS: dict[str, str] = {
    r"\bdef (described|dumped|masked|storable|rendered|told)\(": "describe_error, dump_result, mask_secrets, ...",
    r"\b[Ww]hoever\b": "users, callers, the owner, an admin, other tasks",
    r"\b([Ee]verybody|[Ss]omebody|[Aa]nybody|Nobody|nobody(?![\":]))\b": "users, the owner, an admin, other tasks",
    r"\b(is|are|was|were) (asked|told) for\b": "is requested",
    r"\b(?<!, )meanwhile\b": "in the meantime, while ...",
    r"\bof (its|their|your) own\b(?! (user|job|jobs|transaction))": "a separate file, its own thread",
    r"\bmost_(?!rows\b|common\b)[a-z]+": "max_...",
    r"\bnews for\b|\b(a|no|get|gets|two|one) hints?\b": "updates, a notification",
    r"\btells? it\b|\btold_as\b|\bleft_out\b": "reports it, given, skipped",
    r"\b(is|are|was|were) (left out|given up|left to)\b|\bleft to the\b": "is omitted, is skipped, is left for",
    r"\b(runs|names|needs|costs|starts|sends|touches|speaks|gets|delays|declares|offers|writes|waits for) no "
    r"(?!further |other )": "does not run ...",
    r"\bWhat (is|was) (due|accepted|not listed|owed|known)\b": "occurrences, each accepted job: name the subject",
    r"\b(is|are|was|were) away\b": "is unavailable, is not responding",
    r"\b[Ll]eft out\b": "omitted, skipped",
    r"\bmay not\b": "is not allowed to, cannot, might not",
    r"(?<!no )\b(go|goes|going|went) on\b": "continue, keep running",
    r"\bwhile (it|they) (was|were) (?!being )[a-z]+(ed|ead)\b": "while it was being read",
    r"\bdo(es)? not answer\b|\bdid not answer\b|\banswer(s|ed)? ([1-5]\d\d|with)\b": "is not responding, returns 503",
    r"_(say|run)\(f?\"(?!has |is |was )[a-z]+s [a-z{]": "deploying as ..., installing ...",
}


@cache
def texts() -> dict[str, str]:
    """The tracked text files by path, without those that are excluded."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if EXCLUDED.search(name) or path.is_symlink() or not path.is_file():
            continue
        try:
            found[name] = path.read_text()
        except UnicodeDecodeError:
            continue  # an image
    return found


@pytest.mark.parametrize("phrase", [*BETTER, *BETTER_OUTSIDE_TESTS])
def test_phrase_does_not_occur(phrase: str) -> None:
    pattern = re.compile(phrase)
    better = BETTER.get(phrase) or BETTER_OUTSIDE_TESTS[phrase]
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts().items()
        if pattern.search(text) and (phrase in BETTER or not name.startswith("tests/"))
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, f"write instead: {better}\n" + "\n".join(found)


def test_files_are_read() -> None:
    assert {"README.md", "scripts/install.py", "web/js/strings.en.js"} <= texts().keys()
