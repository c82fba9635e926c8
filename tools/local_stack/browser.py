"""The user's browser, where there is one."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser


def open_page(url: str) -> None:
    """Open the page in a window; nothing on a machine without a screen. Returns at once."""
    has_screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_screen or os.environ.get("CI"):
        return
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser:  # one for the terminal: it would take the place of our output
        return
    threading.Thread(target=browser.open, args=(url,), name="browser", daemon=True).start()
