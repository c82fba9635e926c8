/** The number of unseen ends in the title and in the icon of the tab, until they are seen. */

import { badge } from '../format.js';

class TabCount {
  /** The feed of each bell, and how many of its ends are unseen. */
  #bells = new Map();
  #prefix = '';
  /** Those of the page, while ours is shown. */
  #icons = [];
  #icon = document.createElement('link');
  /** A page may change its title. */
  #titles = new MutationObserver(() => this.#prepend());

  /**
   * @param {object} bell @param {object} feed counts once, however many bells show it
   * @param {number|null} unseen null: the bell is removed @param {Element} mark has the colours of the icon
   */
  set(bell, feed, unseen, mark) {
    this.#bells.delete(bell);
    if (unseen !== null) this.#bells.set(bell, [feed, unseen]);
    const total = [...new Map(this.#bells.values()).values()].reduce((sum, count) => sum + count, 0);
    this.#showTitle(total ? `(${badge(total)})` : '');
    this.#icon.remove();
    if (!total) document.head.append(...this.#icons.splice(0));
    else this.#showIcon(pictureOf(total, getComputedStyle(mark)));
  }

  #showTitle(prefix) {
    this.#titles.disconnect();
    const { title } = document;
    if (this.#prefix && title.startsWith(this.#prefix)) document.title = title.slice(this.#prefix.length).trim();
    this.#prefix = prefix;
    this.#prepend();
    if (prefix) this.#titles.observe(document.head, { subtree: true, childList: true, characterData: true });
  }

  #prepend() {
    if (!document.title.startsWith(this.#prefix)) document.title = `${this.#prefix} ${document.title}`;
  }

  #showIcon(href) {
    for (const icon of document.querySelectorAll('link[rel~="icon"]')) {
      this.#icons.push(icon);
      icon.remove();
    }
    document.head.append(Object.assign(this.#icon, { rel: 'icon', href }));
  }
}

/** @param {number} total @param {CSSStyleDeclaration} style @returns {string} URL */
function pictureOf(total, { backgroundColor, color }) {
  const text = total > 9 ? '9+' : total;
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="10" ` +
    `fill="${backgroundColor}"/><text x="16" y="23.5" text-anchor="middle" style="font:700 21px sans-serif" fill="${color}">${text}</text></svg>`,
  )}`;
}

/** One for the page, even if this file is loaded from several addresses. */
const tabCount = (document[Symbol.for('queued-jobs.tab-count')] ??= new TabCount());

/** @param {import('../types.d.ts').BellParts} parts @returns {import('../types.d.ts').BellExtra} */
export const create = ({ feed, button, badge: mark }) => ({
  rendered: (unseen) => tabCount.set(button, feed, unseen, mark),
  removed: () => tabCount.set(button, feed, null, mark),
});
