"""The hub and the host as servers, and Core Tools in the host's place."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from tests.support.hub import ControlledHub
from tools.local_stack import app_servers, ports
from tools.local_stack.app_servers import FuncServer, HubServer, python_command, responds
from tools.local_stack.errors import LocalRunError, Missing, ServerFailed

FUNC = """#!{python}
import http.server, json, os, sys
from pathlib import Path
names = ("VIRTUAL_ENV", "PYTHONPATH", "DATABASE_URL", "NO_PROXY")
seen = {{"arguments": sys.argv[1:], "folder": os.getcwd(), **{{name: os.environ[name] for name in names}}}}
Path("seen.json").write_text(json.dumps(seen))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/api/health" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
"""


@pytest.fixture
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function app in which func, a small program that notes how it was called, is on PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "func").write_text(FUNC.format(python=sys.executable))
    (tmp_path / "bin" / "func").chmod(0o755)
    (tmp_path / "functions").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "functions"


def test_core_tools_run_the_app_with_its_settings(functions: Path) -> None:
    server = FuncServer(lambda: {"DATABASE_URL": "postgresql://here"}, app=functions)
    server.start()
    try:
        seen = json.loads((functions / "seen.json").read_text())
        assert seen["arguments"] == ["start", "--port", str(server.ports[0])]
        assert seen["folder"] == str(functions)
        assert seen["DATABASE_URL"] == "postgresql://here"
        assert seen["VIRTUAL_ENV"] == str(Path(sys.executable).parents[1])
        assert seen["PYTHONPATH"] == str(app_servers.ROOT)
    finally:
        server.stop()
    settings_file = functions / "local.settings.json"
    assert stat.S_IMODE(settings_file.stat().st_mode) == 0o600
    settings = json.loads(settings_file.read_text())
    assert settings["IsEncrypted"] is False
    assert settings["Values"]["DATABASE_URL"] == "postgresql://here"
    assert settings["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"


def test_settings_of_the_user_for_core_tools_stay(functions: Path) -> None:
    own = {"IsEncrypted": False, "Values": {"MINE": "stays", "DATABASE_URL": "postgresql://old"}}
    (functions / "local.settings.json").write_text(json.dumps(own))
    server = FuncServer(lambda: {"DATABASE_URL": "postgresql://new"}, app=functions)
    server.start()
    server.stop()
    values = json.loads((functions / "local.settings.json").read_text())["Values"]
    assert (values["MINE"], values["DATABASE_URL"]) == ("stays", "postgresql://new")


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}"])
def test_settings_that_core_tools_would_not_understand_are_named(functions: Path, content: str) -> None:
    (functions / "local.settings.json").write_text(content)
    with pytest.raises(LocalRunError, match=r"local\.settings\.json"):
        FuncServer(dict, app=functions).start()


def test_missing_core_tools_are_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Missing, match="Azure Functions Core Tools 4"):
        FuncServer(dict)


def test_a_key_may_begin_with_a_dash() -> None:
    server = HubServer("-" * 40)
    server.start()
    server.stop()


def test_a_key_that_is_too_short_is_refused_without_being_shown() -> None:
    with pytest.raises(ServerFailed, match="SIGNALR_ACCESS_KEY has fewer than 32 bytes") as caught:
        HubServer("short-key").start()
    assert "short-key" not in str(caught.value)


def test_a_proxy_of_the_user_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "intranet")
    environment = python_command("a.module").environment
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,127.0.0.1,localhost"


def test_only_200_is_an_answer(hub: ControlledHub) -> None:
    assert responds(hub.ports[0], "/api/health")
    assert not responds(hub.ports[0], "/nothing/here")
    (silent,) = ports.choose_ports(1)
    assert not responds(silent, "/api/health")
