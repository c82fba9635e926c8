"""Looks for what keeps people out, with axe-core inside of the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

#: How a page can look: the media features to emulate for each.
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}

_SOURCE = Path(__file__).resolve().parents[2] / "tools/local_stack/node_modules/axe-core/axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
#: What these find can differ with the width and the colours alone; all others look at elements, and at who sees them.
_OF_LOOKS = [
    *("color-contrast", "link-in-text-block"),
    *("target-size", "scrollable-region-focusable", "css-orientation-lock", "avoid-inline-spacing", "meta-viewport"),
]
#: What the other rules look at, as a text: every element with its attributes, whether it is rendered, and its text.
#: Numbers are left out, since clocks go on.
_CONTENT = """() => {
    const described = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return node.data;
        if (node.nodeType !== Node.ELEMENT_NODE) return '';
        const seen = node.checkVisibility({ visibilityProperty: true, opacityProperty: true });
        const children = [...(node.shadowRoot?.childNodes ?? []), '|', ...node.childNodes];
        const inside = children.map((child) => child === '|' ? child : described(child));
        return `<${node.cloneNode().outerHTML} ${seen}: ${inside}>`;
    };
    return described(document.documentElement).replace(/[0-9]+/g, '0');
}"""
#: Of the page and of the shadow root of each of its elements.
_SETTLED = """async () => {
    await new Promise(requestAnimationFrame);
    const roots = [...document.querySelectorAll('*')].flatMap(({ shadowRoot }) => shadowRoot ?? []);
    const moving = [document, ...roots].flatMap((root) => root.getAnimations());
    const fading = moving.filter((animation) => animation instanceof CSSTransition);
    await Promise.allSettled(fading.map(({ finished }) => finished));
}"""
_RUN = """async ([kind, values]) => {
    const {violations} = await axe.run(document, {runOnly: {type: kind, values}, resultTypes: ['violations']});
    const told = (id) => ({target, failureSummary}) => `${id} at ${target.flat().join(' ')}: ${failureSummary}`;
    return violations.flatMap(({id, nodes}) => nodes.map(told(id)));
}"""


@cache
def _source() -> str:
    return _SOURCE.read_text()


def settle(page: Page) -> None:
    """Wait until the colours of the last look are gone, also those that fade."""
    page.evaluate(_SETTLED)


def violations(page: Page) -> list[str]:
    """Return what axe finds in the page as it is now, shadow roots included."""
    settle(page)
    return Looks(page).violations()


class Looks:
    """One page in several looks, one after the other.

    As long as its content stays the same, rules that look at nothing else run once for all looks.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._checked: set[str] = set()

    def violations(self) -> list[str]:
        """Return what axe finds in the page in this look; of the content, what it has not yet found in another look."""
        if not self._page.evaluate("'axe' in globalThis"):
            self._page.evaluate(_source())  # not a script element: the page's policy forbids it
        content: str = self._page.evaluate(_CONTENT)
        rules = ["rule", _OF_LOOKS] if content in self._checked else ["tag", _TAGS]
        found: list[str] = self._page.evaluate(_RUN, rules)
        self._checked.add(content)
        return found
