"""The user's browser, if there is one."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser


def open_page(url: str) -> None:
    """Open the page in a window, without waiting; do nothing on a machine without a screen."""
    has_screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_screen or os.environ.get("CI"):
        return
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is webbrowser.GenericBrowser:  # a terminal browser would replace our output
        return
    threading.Thread(target=browser.open, args=(url,), name="browser", daemon=True).start()
