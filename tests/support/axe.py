"""Looks for what keeps people out, with axe-core inside of the page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from playwright.sync_api import Page

_SOURCE = Path(__file__).resolve().parents[2] / "tools/local_stack/node_modules/axe-core/axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async (tags) => {
    const {violations} = await axe.run(document, {runOnly: tags, resultTypes: ['violations']});
    const told = (id) => ({target, failureSummary}) => `${id} at ${target.flat().join(' ')}: ${failureSummary}`;
    return violations.flatMap(({id, nodes}) => nodes.map(told(id)));
}"""


@cache
def _source() -> str:
    return _SOURCE.read_text()


def violations(page: Page) -> list[str]:
    """Return what axe finds in the page as it is now, shadow roots included."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(_source())  # not a script element: the page's policy forbids it
    found: list[str] = page.evaluate(_RUN, _TAGS)
    return found
