"""Every state of the bell and the dashboard looks as recorded: what is visible, its styles, and where its frames are.

Not its pixels: those of another font differ as much as those of another design. Styles are compared as computed, and
frames to a few pixels. `RECORD_GALLERY=1` records them again: look at the states at `python -m tools.gallery` before.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import Noise
from tests.support.axe import settle, violations
from tests.support.bell import SECONDS
from tests.support.fit import misfits, strings_of
from tools.gallery.server import Gallery

RECORDED = Path(__file__).with_name("gallery.txt")
#: Pixels by which a frame may be elsewhere, or larger: a line of text may be as much higher in another font.
NEAR = 6
STATES = """async () => Object.entries((await import('/gallery/states.js')).STATES)
    .flatMap(([element, states]) => Object.keys(states).map((state) => [element, state]))"""
WIDTHS = (1280, 640, 375)
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
#: By name of an element: how many are visible, and their styles, but for those that depend on the font.
LOOKS = """(host) => {
    const properties = ['color', 'backgroundColor', 'borderTopColor', 'borderTopWidth', 'borderTopLeftRadius',
        'boxShadow', 'paddingTop', 'paddingBottom',
         'paddingLeft', 'paddingRight', 'columnGap', 'rowGap', 'fontSize', 'fontWeight',
        'textAlign', 'display', 'position', 'opacity', 'visibility', 'stroke', 'fill', 'strokeWidth'];
    const found = {};
    for (const element of host.shadowRoot.querySelectorAll('*')) {
        if (!element.checkVisibility()) continue;
        const name = [element.localName, ...element.classList].join('.');
        const style = getComputedStyle(element);
        const [count, styles] = found[name] ?? [0, []];
        found[name] = [count + 1, [...new Set([...styles, properties.map((each) => style[each]).join(';')])].sort()];
    }
    const frames = ['.panel', '.toasts', '.bell', '.cards', '.filters', 'table', 'dialog[open]', 'figure'];
    const places = frames.map((frame) => [frame, host.shadowRoot.querySelector(frame)])
        .filter(([, element]) => element?.checkVisibility())
        .map(([frame, element]) => [frame, element.getBoundingClientRect()])
        .map(([frame, { x, width }]) => [frame, [x, width].map(Math.round)]);
    return [found, Object.fromEntries(places)];
}"""
ADD = """([name, text]) => {
    const { shadowRoot } = document.querySelector(name);
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    shadowRoot.adoptedStyleSheets = [...shadowRoot.adoptedStyleSheets, sheet];
}"""
REMOVE = """(name) => {
    const { shadowRoot } = document.querySelector(name);
    shadowRoot.adoptedStyleSheets = [...shadowRoot.adoptedStyleSheets].slice(0, -1);
}"""


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    with Gallery() as gallery:
        yield gallery


@pytest.fixture
def page(browser: Browser, noise: Noise) -> Iterator[Page]:
    noise.expect("status of (403|404|503)|Failed to start live updates")
    context = browser.new_context(reduced_motion="reduce", timezone_id="UTC", permissions=["notifications"])
    context.set_default_timeout(180 * SECONDS)
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.on("console", noise.hear_console)
    page.on("pageerror", noise.hear_exception)
    yield page
    context.close()


def show(page: Page, gallery: Gallery, element: str, state: str, more: str = "") -> None:
    page.goto(f"{gallery.origin}/gallery.html?element={element}&state={state}{more}")
    page.wait_for_selector("html[data-ready]", state="attached")


def look(page: Page, element: str) -> dict[str, str]:
    """Return what is seen, by name: a number and a digest of the styles, or a place."""
    found, places = page.locator(f"job-{element}").evaluate(LOOKS)
    styles = {
        name: f"{count} {hashlib.sha256('|'.join(styles).encode()).hexdigest()[:6]}"
        for name, (count, styles) in found.items()
    }
    return styles | {f"frame:{name}": f"{x} {width}" for name, (x, width) in places.items()}


def changes(now: dict[str, str], before: dict[str, str]) -> list[str]:
    """Return the names of what is new, gone, or looks different."""

    def is_same(name: str) -> bool:
        if not name.startswith("frame:") or name not in now or name not in before:
            return now.get(name) == before.get(name)
        pairs = zip(now[name].split(), before[name].split(), strict=True)
        return all(abs(int(one) - int(other)) <= NEAR for one, other in pairs)

    return [name for name in sorted(now.keys() | before.keys()) if not is_same(name)]


def test_every_state_looks_as_recorded(page: Page, gallery: Gallery) -> None:
    page.goto(f"{gallery.origin}/gallery.html?element=bell&state=closed")
    seen: dict[str, dict[str, str]] = {}
    for element, state in page.evaluate(STATES):
        show(page, gallery, element, state)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            seen[f"{element} {state} {scheme}"] = look(page, element)
    if os.environ.get("RECORD_GALLERY"):
        lines = (
            f"{state}: " + ", ".join(f"{name} {value}" for name, value in looks.items())
            for state, looks in seen.items()
        )
        RECORDED.write_text("".join(f"{line}\n" for line in lines))
    recorded = {}
    for line in RECORDED.read_text().splitlines():
        state, _, looks = line.partition(": ")
        recorded[state] = dict(each.split(" ", 1) for each in looks.split(", "))
    assert seen.keys() == recorded.keys()
    changed = {state: changes(looks, recorded[state]) for state, looks in seen.items()}
    assert {state: names for state, names in changed.items() if names} == {}


def test_another_font_is_no_change_but_another_colour_size_or_place_is(page: Page, gallery: Gallery) -> None:
    show(page, gallery, "bell", "every-status")
    before = look(page, "bell")
    found = {}
    for text in (
        ".root { --qj-font: serif; }",
        ".root { --qj-accent: #3f51c5; }",
        ".row { padding-block: 10px; }",
        ".panel { translate: -60px 0; }",
        ".meta { visibility: hidden; }",
        ".bar { display: none; }",
    ):
        page.evaluate(ADD, ["job-bell", text])
        found[text] = changes(look(page, "bell"), before)
        page.evaluate(REMOVE, "job-bell")
    font, *others = found.values()
    assert font == []
    assert all(others), found


def test_every_state_fits_every_width_direction_and_language(page: Page, gallery: Gallery) -> None:
    """German from right to left stands for both: no language is longer, and no place depends on the words."""
    page.goto(f"{gallery.origin}/gallery.html?element=bell&state=closed")
    english = strings_of(page)
    assert len(english) > 200
    found = []
    for element, state in page.evaluate(STATES):
        for language, direction in (("en", "ltr"), ("de", "rtl")):
            page.set_viewport_size({"width": WIDTHS[0], "height": 800})
            show(page, gallery, element, state, f"&lang={language}&dir={direction}")
            foreign = english if language == "de" else []
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                settle(page)
                place = f"{element} {state} {language} {direction} {width}"
                found += [f"{place}: {each}" for each in misfits(page, element, foreign)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (".buttons button { overflow: hidden; inline-size: 26px; }", "cut off"),
        (".panel { translate: 200px 0; }", "out of the window"),
        (".buttons { gap: 0; }", "too near"),
        (".row button:not(.unfold) { min-block-size: 20px; }", "too small"),
        (".panel h2 { outline-offset: 40px; }", "ring cut"),
    ],
)
def test_what_does_not_fit_is_found(page: Page, gallery: Gallery, text: str, kind: str) -> None:
    show(page, gallery, "bell", "long-texts")
    assert misfits(page, "bell", ["Live"]) == ["untranslated: Live"]
    page.evaluate(ADD, ["job-bell", text])
    found = misfits(page, "bell", [])
    assert found
    assert {each.partition(":")[0] for each in found} == {kind}


@pytest.mark.parametrize(
    ("element", "state"),
    [
        ("bell", "every-status"),
        ("bell", "output"),
        ("dashboard", "list"),
        ("dashboard", "job"),
        ("dashboard", "job-output"),
    ],
)
def test_in_german_and_from_right_to_left_it_fits_a_telephone(
    page: Page, gallery: Gallery, element: str, state: str
) -> None:
    page.set_viewport_size({"width": 375, "height": 812})
    for direction in ("ltr", "rtl"):
        show(page, gallery, element, state, f"&lang=de&dir={direction}")
        assert not page.evaluate(TOO_WIDE)
    assert violations(page) == []
