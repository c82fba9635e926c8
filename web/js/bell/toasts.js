/** Short messages about jobs that have ended, if the page enables them. The panel shows the same. */

import { bdi, button, h, icon } from '../dom.js';
import { numbered } from '../format.js';
import { strings } from '../strings.en.js';

const words = strings.toast;
const AT_MOST = 3;
const SHOWN_FOR = 8000;
const MARGIN = 16;

export class Toasts {
  #onShow;
  #room = Infinity;
  #timers = new Map();
  #counts = new Map();

  /** @param {() => void} onShow opens the panel, which takes the focus */
  constructor(onShow) {
    this.#onShow = onShow;
    this.element = h('div', {
      class: 'toasts',
      popover: 'manual',
      role: 'group',
      'aria-label': words.region,
      onkeydown: (event) => event.key === 'Escape' && this.#dismiss(event.target.closest('.toast'), true),
    });
  }

  /** @param {'below'|'above'} side without the bell @param {number} room in pixels on that side */
  place(side, room) {
    this.element.dataset.side = side;
    this.#room = room;
  }

  /** @param {{title: string, status: import('../types.d.ts').Status}[]} ended */
  show(ended) {
    for (const job of ended) this.#add(job);
    const { children } = this.element;
    const tooMany = () => children.length > AT_MOST || this.element.offsetHeight + 2 * MARGIN > this.#room;
    while (children.length > 1 && tooMany()) this.#dismiss(children[0]);
  }

  clear() {
    for (const toast of [...this.element.children]) this.#dismiss(toast);
  }

  #add({ title, status }) {
    const name = numbered(this.#counts, title);
    const named = (action) => ({ 'aria-label': strings.job.named(action, name) });
    const toast = h(
      'div',
      { class: 'toast', part: 'toast', 'data-status': status },
      h('span', { class: 'status-icon' }, icon(status)),
      h('p', {}, h('strong', {}, bdi(title)), h('span', { class: 'status' }, strings.status[status])),
      button(null, words.show, () => this.#onShow(), named(words.show)),
      button('quiet clear', icon('close'), () => this.#dismiss(toast, true), named(words.dismiss)),
    );
    this.element.append(toast);
    if (!this.element.matches(':popover-open')) this.element.showPopover();
    this.#soonOver(toast);
  }

  /** The message stays while it has pointer or focus, and until a hidden tab is visible again. */
  #soonOver(toast) {
    const end = () => {
      if (document.hidden || toast.matches(':hover, :focus-within')) this.#soonOver(toast);
      else this.#dismiss(toast);
    };
    this.#timers.set(toast, setTimeout(end, SHOWN_FOR));
  }

  /** Removes the message; the job does not change. */
  #dismiss(toast, byHand = false) {
    if (!toast) return;
    const next = toast.nextElementSibling ?? toast.previousElementSibling;
    const focused = toast.contains(this.element.getRootNode().activeElement);
    clearTimeout(this.#timers.get(toast));
    this.#timers.delete(toast);
    toast.remove();
    if (byHand && focused) next?.querySelector('.clear').focus();
    if (next) return;
    this.#counts.clear();
    if (this.element.matches(':popover-open')) this.element.hidePopover();
  }
}
