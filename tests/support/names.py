"""Looks at the names of controls as a screen reader lists them, without their context."""

from __future__ import annotations

from collections import Counter
from typing import Any

from playwright.sync_api import Locator, Page

_CONTROLS = {"button", "link", "DisclosureTriangle", "checkbox", "combobox", "textbox", "searchbox", "menuitem", "tab"}

#: The controls of each row that do not say which row they are of.
_NOT_OF_THEIR_ROW = """(rows) => rows.flatMap((row) => {
    const title = row.querySelector('.title, .toast strong').textContent;
    return [...row.querySelectorAll('button, summary, a')]
        .filter((control) => control.checkVisibility())
        .map((control) => control.getAttribute('aria-label') ?? control.textContent)
        .filter((name) => !name.includes(title));
})"""


def ambiguous(page: Page) -> list[str]:
    """Return the controls that have no name of their own, by role and name, shadow roots included."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    names = Counter(
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in _CONTROLS and not _is_of_browser(node)
    )
    return [f"{count} times the {role} {name!r}" for (role, name), count in names.items() if count > 1 or not name]


def _is_of_browser(node: dict[str, Any]) -> bool:
    """Whether it is the button that Chromium puts into a field for a date, and names alike in each."""
    return "date and time picker" in node.get("name", {}).get("value", "")


def not_of_their_row(rows: Locator) -> list[str]:
    """Return the names of controls in these rows that do not name the row's job."""
    found: list[str] = rows.evaluate_all(_NOT_OF_THEIR_ROW)
    return found
