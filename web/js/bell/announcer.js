/** Announces events to screen readers: politely, once, and several events as one sentence. */

import { h } from '../dom.js';
import { strings } from '../strings.js';

const QUIET_FOR = 1000;
const AT_MOST = 4000;

export class Announcer {
  /** Must be placed where it is never hidden. */
  element = h('div', { class: 'sr-only', role: 'status' });

  #onEnded;
  #ended = [];
  #since = 0;
  #timer = null;

  /** @param {(ended: object[]) => void} [onEnded] called with those that are announced as one */
  constructor(onEnded) {
    this.#onEnded = onEnded;
  }

  /** @param {string} text announced now */
  say(text) {
    // A new element each time, so that a repeated text is announced again.
    this.element.replaceChildren(h('p', {}, text));
  }

  /**
   * Announce that jobs have ended, together with others that end at about the same time.
   * @param {{title: string, status: string}[]} ended
   */
  ended(ended) {
    if (ended.length === 0) return;
    if (this.#ended.length === 0) this.#since = Date.now();
    this.#ended.push(...ended);
    clearTimeout(this.#timer);
    const left = this.#since + AT_MOST - Date.now();
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, Math.min(QUIET_FOR, left)));
  }

  #flush() {
    const ended = this.#ended;
    this.#ended = [];
    this.say(digest(ended));
    this.#onEnded?.(ended);
  }
}

/** One sentence for all of them. @param {{title: string, status: string}[]} ended */
export function digest(ended) {
  const words = strings.job;
  if (ended.length === 1) return words.announce[ended[0].status](ended[0].title);
  const parts = Object.keys(words.announce).map((status) => {
    const count = ended.filter((job) => job.status === status).length;
    return count > 0 && words.digestPart(count, strings.status[status].toLowerCase());
  });
  return words.digest(ended.length, parts.filter(Boolean).join(', '));
}
