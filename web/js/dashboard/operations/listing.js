/** A section with a table. Its rows are created once and changed in place, so that they keep the focus. */

import { h, patchChildren } from '../../dom.js';
import { heading } from '../widgets.js';

export class Listing {
  #rows = new Map();
  #body = h('tbody', { role: 'rowgroup' });
  #table;
  #empty;

  /**
   * @param {object} texts `label`, `about`, `empty` and `columns` by name
   * @param {...Node} parts between the title and the table
   */
  constructor(texts, ...parts) {
    const headings = Object.entries(texts.columns).map(([name, text]) =>
      heading(null, h('span', { class: name === 'actions' && 'sr-only' }, text)));
    const head = h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...headings));
    const attributes = { class: 'queues', role: 'table', 'aria-label': texts.label, hidden: true };
    this.#table = h('table', attributes, head, this.#body);
    this.#empty = h('p', { class: 'muted', hidden: true }, texts.empty);
    const about = h('p', { class: 'muted' }, texts.about);
    this.element = h('section', { 'aria-label': texts.label }, h('h2', {}, texts.label), about, ...parts, this.#table, this.#empty);
  }

  /**
   * @param {object[]} items in their order
   * @param {(item: object) => string} keyOf
   * @param {(item: object) => {element: HTMLElement}} make
   */
  show(items, keyOf, make) {
    this.#table.hidden = items.length === 0;
    this.#empty.hidden = items.length > 0;
    const known = this.#rows;
    this.#rows = new Map(items.map((item) => {
      const row = known.get(keyOf(item)) ?? make(item);
      row.item = item;
      return [keyOf(item), row];
    }));
    patchChildren(this.#body, [...this.#rows.values()].map(({ element }) => element));
  }

  /** What `make` has returned, with the latest `item`. */
  get rows() {
    return this.#rows.values();
  }
}
