"""The tables about the elements, from web/custom-elements.json. Run it again when its test fails."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
MANIFEST: Final = ROOT / "web" / "custom-elements.json"
#: By tag name: the page that describes the element, and the lists of the manifest that it shows.
PAGES: Final = {
    "job-bell": ("docs/how-to/embed-the-bell.md", ("attributes", "events", "cssParts", "cssProperties")),
    "job-dashboard": ("docs/how-to/use-the-dashboard.md", ("attributes", "events")),
}
_HEADINGS: Final = {
    "attributes": "attribute",
    "events": "event",
    "cssParts": "part",
    "cssProperties": "CSS property",
}


def elements() -> dict[str, dict[str, Any]]:
    """Return what the manifest says of each element, by its tag name."""
    declarations = [module["declarations"][0] for module in json.loads(MANIFEST.read_text())["modules"]]
    return {declaration["tagName"]: declaration for declaration in declarations}


def page(tag: str) -> str:
    """Return the page of an element, with tables that follow the manifest."""
    path, lists = PAGES[tag]
    tables = "\n\n".join(_table(_HEADINGS[name], elements()[tag][name]) for name in lists)
    mark = f"<!-- From web/custom-elements.json: {tag} -->"
    block = re.compile(rf"{re.escape(mark)}.*?<!-- End -->", re.DOTALL)
    return block.sub(lambda _: f"{mark}\n\n{tables}\n\n<!-- End -->", (ROOT / path).read_text())


def _table(heading: str, entries: list[dict[str, Any]]) -> str:
    rows = "\n".join(f"| `{entry['name']}` | {entry['description']} |" for entry in entries)
    return f"| {heading} | |\n|---|---|\n{rows}"


def main() -> None:
    for tag, (path, _) in PAGES.items():
        (ROOT / path).write_text(page(tag))


if __name__ == "__main__":
    main()
