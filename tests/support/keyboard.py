"""Going through a page with the keyboard alone."""

from __future__ import annotations

from playwright.sync_api import Page

_FOCUSED = """() => {
    let focused = document.activeElement;
    while (focused?.shadowRoot) focused = focused.shadowRoot.activeElement;
    return focused?.getAttribute('aria-label');
}"""


def tab_to(page: Page, name: str) -> None:
    """Press the Tab key until the element of this `aria-label` has the focus, in whatever shadow root it is."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(_FOCUSED) == name:
            return
    raise AssertionError(f"the Tab key does not lead to {name}")
