/** Elements, icons and style sheets, without HTML text: everything that comes from a job is a text node. */

import { plain } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const LINKS = new Set(['href', 'src', 'action', 'formaction']);

const RING = 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z';
const ICONS = {
  bell: 'M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7zM10 20a2 2 0 0 0 4 0',
  pending: `${RING}M12 7.5V12l3 2`,
  running: 'M12 3a9 9 0 1 0 9 9',
  retrying: 'M4 12a8 8 0 0 1 13.7-5.6L20 8.5M20 4v4.5h-4.5M20 12a8 8 0 0 1-13.7 5.6L4 15.5M4 20v-4.5h4.5',
  succeeded: `${RING}M8 12.3l2.7 2.7 5.3-5.6`,
  failed: `${RING}M12 7.5v5.5M12 16.3v.1`,
  cancelled: `${RING}M5.8 5.8l12.4 12.4`,
  aborted: 'M12 3.5l9.5 16.5h-19zM12 10v4.5M12 17.3v.1',
  ring: 'M12 .8a11.2 11.2 0 0 1 0 22.4a11.2 11.2 0 0 1 0-22.4',
  close: 'M6 6l12 12M18 6L6 18',
  download: 'M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4 20h16',
};

/**
 * Create an element. `on...` must be functions; scripts, `style`, `srcdoc` and links that are not http(s) are rejected.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] null, undefined and false are omitted; true is an empty one
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  if (tag.toLowerCase() === 'script') throw new TypeError('no scripts');
  return fill(document.createElement(tag), attributes, children);
}

/** @param {string|null} look its classes @param {Node|string|null} content @param {(event: Event) => void} onclick */
export const button = (look, content, onclick, attributes) =>
  h('button', { type: 'button', class: look, onclick, ...attributes }, content);

/** Untrusted text, isolated from the direction of the text around it. @param {unknown} text */
export const bdi = (text) => h('bdi', {}, plain(text));

/** Content behind a summary. @param {string} text the summary @param {object} attributes @param {...(Node|string)} content */
export const details = (text, attributes, ...content) =>
  h('details', attributes, h('summary', {}, h('span', {}, text)), ...content);

/** An element of a picture. @param {string} tag @param {object} attributes @param {...Node} children */
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** An icon, which only repeats the text beside it. @param {string} name @param {string} [path] unless it is one of `ICONS` */
export function icon(name, path = ICONS[name]) {
  const attributes = { viewBox: '0 0 24 24', class: `icon icon-${name}`, 'aria-hidden': 'true' };
  return svg('svg', attributes, svg('path', { d: path, pathLength: 100 }));
}

/** Set the text only if it differs: an unchanged node keeps its selection and causes no layout. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Set or remove an attribute. @param {unknown} value null, undefined and false remove it */
export function setAttribute(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Mark a button as busy while its request runs, and disable it. @param {boolean} busy */
export function setBusy(button, busy) {
  for (const name of ['aria-busy', 'aria-disabled']) setAttribute(button, name, busy && 'true');
}

/** Whether its request runs. @param {Element} button */
export const isBusy = (button) => button.getAttribute('aria-busy') === 'true';

/** Replace the children. Nodes that stay are not touched, so they keep focus and selection. */
export function patchChildren(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/** Whether an element is in the lower half of the window. @param {Element} element */
export function isLow(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const { clientHeight } = document.documentElement;
  return top > clientHeight - bottom && top > clientHeight / 2;
}

/**
 * Restore a focus that was lost with a removed element: to a heading, or to the first button if none is visible.
 * @param {ShadowRoot} root
 */
export function keepFocus(root) {
  let last = null;
  const stays = () => !last || (last.isConnected && last.checkVisibility());
  root.addEventListener('focusin', ({ target }) => (last = target));
  // A focus that the user has moved away is not restored.
  root.addEventListener('focusout', () => queueMicrotask(() => stays() && (last = root.activeElement)));
  new MutationObserver(() => {
    if (stays() || (root.activeElement !== last && document.activeElement !== document.body)) return;
    const places = ['dialog[open] h2', 'h1', 'h2', 'button'].map((place) => root.querySelector(place));
    places.find((place) => place?.checkVisibility())?.focus();
  }).observe(root, { subtree: true, childList: true, attributeFilter: ['hidden'] });
}

/**
 * The URL if it is of one of these origins; otherwise null.
 * @param {unknown} url
 * @param {string[]} origins
 */
export function allowedUrl(url, origins) {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : null;
  // A blob URL has the origin of its page.
  return parsed && /^https?:$/.test(parsed.protocol) && origins.includes(parsed.origin) ? parsed.href : null;
}

/**
 * A style sheet that is loaded from a file in css/; elements that adopt it are invisible until then. Adopted sheets
 * need no `style-src` on an embedding page.
 * @param {string} name @param {string} [before] styles until then
 */
export function sheetOf(name, before = ':host { visibility: hidden }') {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(before);
  fetch(new URL(`../css/${name}`, import.meta.url))
    .then((answer) => (answer.ok ? answer.text() : ''))
    // An element works without its styles too.
    .catch(() => '')
    .then((text) => sheet.replaceSync(text));
  return sheet;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    const key = name.toLowerCase();
    if (key.startsWith('on')) {
      if (typeof value !== 'function') throw new TypeError(`${name} must be a function`);
      node.addEventListener(key.slice(2), value);
    } else {
      const bad = LINKS.has(key) && !/^https?:$/.test(new URL(value, document.baseURI).protocol);
      if (bad || key === 'style' || key === 'srcdoc') throw new TypeError(`${name} is not allowed`);
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}
