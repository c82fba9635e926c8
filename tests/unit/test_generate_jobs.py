"""Wrong arguments of tools/sample_jobs/generate_jobs.py are named, before anything is written."""

from __future__ import annotations

import sys

import pytest

from tools.sample_jobs.generate_jobs import main

UNREACHABLE = "postgresql://ann:SECRET@127.0.0.1:1/d"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["junk"], "postgresql://"),
        (["postgresql://ann:SECRET@["], "the url "),
        ([UNREACHABLE, "--jobs", "-1"], "'-1'"),
        ([UNREACHABLE, "--days", "nan"], "'nan'"),
        ([UNREACHABLE], "no connection to Postgres: "),
    ],
)
def test_what_is_wrong_is_refused_in_a_line_without_the_password(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["generate_jobs.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code not in (0, None)
    told = f"{capsys.readouterr().err}{ended.value.code}"
    assert says in told
    assert "SECRET" not in told
