"""Looks for what does not fit: texts that are cut off, controls out of sight, over each other or too small."""

from __future__ import annotations

from playwright.sync_api import Page

#: Texts of the English tables that German has otherwise. Those with parts to fill in are functions, and missing; the
#: kinds that the gallery shows are those of the test app, in English only.
_STRINGS = """async () => {
    const tables = ['', 'dashboard/', 'dashboard/operations/', 'output/'];
    const texts = (value) => typeof value === 'string' ? [value]
        : value && typeof value === 'object' ? Object.values(value).flatMap(texts) : [];
    const of = async (language) => (await Promise.all(
        tables.map(async (table) => texts({ ...await import(`/js/${table}strings.${language}.js`) })))).flat();
    const [english, german] = [await of('en'), new Set(await of('de'))];
    return [...new Set(english)].filter((text) => !german.has(text));
}"""

_MISFITS = """([name, foreign]) => {
    const { shadowRoot } = document.querySelector(name);
    const found = new Set();
    const ancestors = (each) => each ? [each, ...ancestors(each.parentElement)] : [];
    const all = [...shadowRoot.querySelectorAll('*')]
        .filter((each) => each.checkVisibility({ visibilityProperty: true }));
    const isForEars = (each) => ancestors(each).some((one) => getComputedStyle(one).clipPath !== 'none');
    const isFixed = (each) => ['fixed', 'absolute'].includes(getComputedStyle(each).position);
    const isClipped = (value) => value === 'hidden' || value === 'clip';
    const isScrolled = (value) => value === 'auto' || value === 'scroll';
    const told = (each) =>
        `${[each.localName, ...each.classList].join('.')} ${JSON.stringify(each.textContent.slice(0, 30))}`;
    // What a finger meets of it: its part inside of everything that scrolls.
    const seen = (each) => {
        let { left, top, right, bottom } = each.getBoundingClientRect();
        for (const around of ancestors(each.parentElement)) {
            const { overflowX, overflowY } = getComputedStyle(around);
            const box = around.getBoundingClientRect();
            if (overflowX !== 'visible') [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
            if (overflowY !== 'visible') [top, bottom] = [Math.max(top, box.top), Math.min(bottom, box.bottom)];
        }
        return { left, top, right, bottom };
    };
    const layer = (each) => ancestors(each).find((one) => isFixed(one) || one.matches('dialog, [popover]'));
    // Cells of a strip, with a line between them.
    const isCell = (each) => each.matches('.cards *');

    if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.add('too wide: the page');
    for (const each of all) {
        const texts = [...each.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        for (const text of texts) {
            if (foreign.includes(text.data.trim())) found.add(`untranslated: ${text.data.trim()}`);
            if (isForEars(each)) continue;
            const range = document.createRange();
            range.selectNodeContents(text);
            const box = range.getBoundingClientRect();
            // Beyond what scrolls, it can be brought into sight.
            const around = ancestors(each);
            const [x, y] = ['overflowX', 'overflowY'].map((side) =>
                around.slice(0, around.findIndex((one) => isScrolled(getComputedStyle(one)[side])) >>> 0));
            const edge = (one) => one.getBoundingClientRect();
            const cutter = x.find((one) => isClipped(getComputedStyle(one).overflowX)
                && (box.left < edge(one).left - 1 || box.right > edge(one).right + 1))
                ?? y.find((one) => isClipped(getComputedStyle(one).overflowY)
                && (box.top < edge(one).top - 3 || box.bottom > edge(one).bottom + 3));
            const isSaid = cutter && around.slice(0, around.indexOf(cutter) + 1).some((one) => {
                const { textOverflow, webkitLineClamp } = getComputedStyle(one);
                return textOverflow === 'ellipsis' || webkitLineClamp !== 'none';
            });
            if (cutter && !isSaid) found.add(`cut off: ${told(each)}`);
            const isBeyond = !cutter && x.length === around.length && (box.left < -1 || box.right > innerWidth + 1);
            if (isBeyond) found.add(`out of the window: ${told(each)}`);
        }
        for (const attribute of ['aria-label', 'title', 'placeholder']) {
            const text = each.getAttribute(attribute);
            if (foreign.includes(text)) found.add(`untranslated: ${text}`);
        }
    }

    const controls = all.filter((each) => each.matches('button, summary, a, input, select, textarea'))
        .map((each) => each.closest('label:has(input[type=checkbox])') ?? each);
    const places = controls.map((each) => [each, seen(each), layer(each)])
        .filter(([, { left, top, right, bottom }]) => right - left > 1 && bottom - top > 1);
    places.forEach(([one, box, above], index) => {
        const { width, height } = one.getBoundingClientRect();
        // A link in a line of text is as high as that.
        if (!one.matches('a:not([class])') && Math.min(width, height) < (one.matches('.bell') ? 44 : 24)) {
            found.add(`too small: ${told(one)} ${Math.round(width)} x ${Math.round(height)}`);
        }
        for (const [other, its, its_layer] of places.slice(index + 1)) {
            if (above !== its_layer || one.contains(other) || other.contains(one) || isCell(one)) continue;
            const [across, down] = [Math.min(box.right, its.right) - Math.max(box.left, its.left),
                Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top)];
            if (across > -1.5 && down > 1) found.add(`too near: ${told(one)} and ${told(other)}`);
        }
    });

    const focused = shadowRoot.activeElement;
    if (focused?.matches(':focus-visible')) {
        const { outlineOffset, outlineWidth } = getComputedStyle(focused);
        const room = parseFloat(outlineOffset) + parseFloat(outlineWidth);
        const { left, right } = focused.getBoundingClientRect();
        for (const around of ancestors(focused.parentElement)) {
            if (getComputedStyle(around).overflowX === 'visible') continue;
            const edge = around.getBoundingClientRect();
            const isWhole = left - room > edge.left - 0.5 && right + room < edge.right + 0.5;
            if (!isWhole) found.add(`ring cut: ${told(focused)}`);
        }
    }
    return [...found];
}"""


def strings_of(page: Page) -> list[str]:
    """Return the English texts that differ in German."""
    found: list[str] = page.evaluate(_STRINGS)
    return found


def misfits(page: Page, element: str, foreign: list[str]) -> list[str]:
    """Return what does not fit in this element as it is now, and which of the foreign texts it shows."""
    found: list[str] = page.evaluate(_MISFITS, [f"job-{element}", foreign])
    return found
