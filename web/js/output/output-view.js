/**
 * A job's output as text: lines of its log, and flowing texts of other topics. It grows in place, and stays at its end
 * unless the reader has scrolled up.
 */

import { bdi, h } from '../dom.js';
import { plain } from '../format.js';
import { words } from './strings.js';

/** The topic of `ctx.log`, whose chunks are lines. */
export const LOG = 'log';
/** Characters that are shown: browsers lay out more too slowly for text that grows. */
const MOST = 200_000;
const NEAR = 8;

export class OutputView {
  /** Not announced as it grows: it would drown all else. */
  element = h('pre', { class: 'output', role: 'log', 'aria-live': 'off', tabindex: '0', 'aria-label': words.title });
  isEmpty = true;

  #size = 0;
  /** The topic of the last chunk, if it flows, and its element. */
  #topic = null;
  #flow = null;
  #isSingle;
  #isAtEnd = true;
  #omitted = h('span', { class: 'line mark', hidden: true }, words.omitted);

  /** @param {boolean} isSingle whether all of it is of one topic, and its name says nothing */
  constructor(isSingle = false) {
    this.#isSingle = isSingle;
    this.element.append(this.#omitted);
    this.element.classList.toggle('prose', isSingle);
    this.element.addEventListener('scroll', () => (this.#isAtEnd = this.#measureEnd()));
    // It is shown, or its styles are there.
    new ResizeObserver(() => this.#follow()).observe(this.element);
  }

  /** @param {import('../types.d.ts').StreamChunk[]} chunks */
  add(chunks) {
    if (chunks.length === 0) return;
    this.isEmpty = false;
    for (const chunk of chunks) this.#add(chunk);
    this.#trim();
    this.#follow();
  }

  /** Show it, at its end. @param {boolean} isShown @param {boolean} isMoved whether it moves on the page now */
  show(isShown, isMoved) {
    const isAtEnd = this.#isAtEnd;
    // What is moved is at its beginning again.
    if (isMoved) requestAnimationFrame(() => ((this.#isAtEnd = isAtEnd), this.#follow()));
    if (this.element.hidden !== isShown) return;
    this.element.hidden = !isShown;
    this.#isAtEnd = true;
  }

  clear() {
    this.element.replaceChildren(this.#omitted);
    this.#omitted.hidden = true;
    this.#size = 0;
    this.#topic = this.#flow = null;
    this.isEmpty = this.#isAtEnd = true;
  }

  #add({ topic, text, skipped, omitted }) {
    if (omitted) this.#mark(words.omitted);
    if (skipped) this.#mark(words.skipped(skipped));
    const shown = plain(text);
    this.#size += shown.length;
    if (topic === LOG) {
      this.#topic = null;
      this.element.append(h('span', { class: 'line' }, bdi(text)));
    } else {
      if (topic !== this.#topic) this.#begin(topic);
      this.#flow.append(shown);
    }
  }

  #begin(topic) {
    this.#topic = topic;
    this.#flow = bdi('');
    const name = !this.#isSingle && h('span', { class: 'topic' }, topic);
    this.element.append(h('span', { class: 'line' }, name, this.#flow));
  }

  #mark(text) {
    this.#topic = null;
    this.element.append(h('span', { class: 'line mark' }, text));
  }

  /** Remove the oldest, of a text that still flows its oldest pieces. */
  #trim() {
    while (this.#size > MOST) {
      const line = this.element.children[1];
      const oldest = line.contains(this.#flow) && this.#topic ? this.#flow.firstChild : line.querySelector('bdi') ?? line;
      if (!line.matches('.mark')) this.#size -= oldest.textContent.length;
      (oldest.parentNode === line ? line : oldest).remove();
      this.#omitted.hidden = false;
    }
  }

  #follow() {
    if (this.#isAtEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  #measureEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }
}
