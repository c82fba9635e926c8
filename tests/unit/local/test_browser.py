"""The browser opens only where a person sees it."""

from __future__ import annotations

import threading
import webbrowser

import pytest

from tools.local_stack.browser import open_page


class Window(webbrowser.BackgroundBrowser):
    def __init__(self) -> None:
        super().__init__("window")
        self.opened = threading.Event()

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        self.opened.set()
        return True


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Window:
    window = Window()
    monkeypatch.setattr(webbrowser, "get", lambda: window)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "CI"):
        monkeypatch.delenv(name, raising=False)
    return window


def test_a_window_opens_on_a_machine_with_a_screen(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    open_page("http://127.0.0.1/")
    assert window.opened.wait(10)


@pytest.mark.parametrize("settings", [{}, {"DISPLAY": ":0", "CI": "true"}], ids=["no screen", "CI"])
def test_nothing_opens_elsewhere(window: Window, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threading, "Thread", _no_thread)
    open_page("http://127.0.0.1/")


def test_a_browser_for_the_terminal_stays_closed(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    monkeypatch.setattr(threading, "Thread", _no_thread)
    open_page("http://127.0.0.1/")


def _no_thread(**_: object) -> None:
    raise AssertionError("a browser was opened")
