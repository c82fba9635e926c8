"""scripts/smoke as an operator calls it, on a system that works and on one that does not."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from scripts import smoke
from scripts.smoke import StackNotReady, try_out
from tools.local_stack import ports
from tools.local_stack.app_servers import ROOT
from tools.local_stack.stack import Stack


def test_the_command_tries_a_stack_by_its_invite_link(stack: Stack, tmp_path: Path) -> None:
    finished = subprocess.run(
        [ROOT / "scripts" / "smoke", stack.guest_url], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[-1] == "smoke    | ok"
    for step in ("health", "upload", "connect", "job", "download"):
        assert f"{step} " in lines[-2]
    assert "succeeded (version" in finished.stdout
    assert stack.invite not in finished.stdout + finished.stderr


def test_a_bearer_token_signs_in_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = httpx.post(f"{stack.page_url}api/session", json={"invite": stack.invite}, trust_env=False).json()
    monkeypatch.setenv("SMOKE_TOKEN", session["token"])
    assert smoke.main([stack.page_url]) == 0
    assert capsys.readouterr().out.endswith("smoke    | ok\n")


def test_a_checkout_has_no_version(stack: Stack) -> None:
    assert httpx.get(f"{stack.page_url}api/health", trust_env=False).json()["version"] is None


def test_a_wrong_invite_is_told_in_a_line(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main([f"{stack.page_url}#invite=wrong"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"smoke +\| FAILED: POST /api/session .* 401\b", line)


async def test_a_site_with_a_part_missing_is_not_tried(stack: Stack) -> None:
    stack.hub.stop()
    try:
        with pytest.raises(StackNotReady, match='"hub":"down"'):
            await try_out(stack.page_url, invite=stack.invite, healthy_within=timedelta())
    finally:
        stack.hub.start()


async def test_a_site_that_is_not_there_is_told() -> None:
    (port,) = ports.choose_ports(1)
    with pytest.raises(StackNotReady, match=r"ConnectError.*Check the URL"):
        await try_out(f"http://127.0.0.1:{port}/", invite="i", healthy_within=timedelta())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("127.0.0.1:7071", "is not a valid site URL"),
        ("https://[", "is not a valid URL"),
        ("https://app.example:99999/#invite=SECRET", "is not a valid URL"),
        ("https://ann:SECRET@app.example/#invite=i", "user name or password"),
        ("https:///#invite=i", "is not a valid site URL"),
        ("http://app.example/#invite=i", "https"),
        ("https://app.example/", "SMOKE_TOKEN"),
        ("https://app.example/#invite=", "SMOKE_TOKEN"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    url: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SMOKE_TOKEN", raising=False)
    with pytest.raises(SystemExit) as ended:
        smoke.main([url])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert reason in told.splitlines()[-1]
    assert "SECRET" not in told


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "é"])
def test_what_is_no_token_is_refused_and_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMOKE_TOKEN", token)
    with pytest.raises(SystemExit) as ended:
        smoke.main(["https://app.example/"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "SMOKE_TOKEN" in told.splitlines()[-1]
    assert token not in told
