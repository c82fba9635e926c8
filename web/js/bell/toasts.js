/** Short messages about jobs that have ended, if the page enables them. The panel shows the same. */

import { bdi, button, h, icon, isLow, setText } from '../dom.js';
import { newestFirst } from '../feed/store.js';
import { numbered } from '../format.js';
import { strings } from '../strings.en.js';
import { actionButton } from './action-button.js';

const words = strings.toast;
const AT_MOST = 3;
const SHOWN_FOR = 8000;
/** Time to reach what can be done. */
const SHOWN_WITH_ACTION_FOR = 20_000;
const MARGIN = 16;

export class Toasts {
  #context;
  #bell;
  #onShow;
  #timers = new Map();
  #jobs = new Map();
  #counts = new Map();

  /**
   * @param {import('../types.d.ts').RowContext} context
   * @param {HTMLElement} bell stays visible
   * @param {(job: import('../types.d.ts').Job) => void} onShow opens the panel, which takes the focus
   */
  constructor(context, bell, onShow) {
    this.#context = context;
    this.#bell = bell;
    this.#onShow = onShow;
    this.element = h('div', {
      class: 'toasts',
      popover: 'manual',
      role: 'region',
      'aria-label': words.region,
      onkeydown: (event) => event.key === 'Escape' && this.#dismiss(event.target.closest('.toast'), true),
    });
  }

  /**
   * @param {import('../feed/store.js').JobStore} store messages about jobs that run again or are gone are removed
   * @param {{title: string, job: import('../types.d.ts').Job}[]} ended
   * @param {boolean} isOpen what the open panel shows needs no message
   */
  changed(store, ended, isOpen) {
    for (const [toast, { id, finishedAt }] of this.#jobs) {
      if (store.get(id)?.finishedAt !== finishedAt) this.#dismiss(toast, true);
    }
    if (isOpen || ended.length === 0) return;
    const { top, bottom } = this.#bell.getBoundingClientRect();
    const low = isLow(this.#bell);
    const room = (low ? top : document.documentElement.clientHeight - bottom) - 2 * MARGIN;
    this.element.dataset.side = low ? 'above' : 'below';
    // A read lists the newest first; the newest message comes last, and is kept if there are too many.
    for (const each of ended.sort((a, b) => newestFirst(b, a))) this.#add(each);
    const { children } = this.element;
    while (children.length > 1 && (children.length > AT_MOST || this.element.offsetHeight > room)) this.#dismiss(children[0]);
  }

  clear() {
    for (const toast of [...this.element.children]) this.#dismiss(toast);
  }

  #add({ title, job }) {
    const { status, actions } = job;
    const name = numbered(this.#counts, title);
    const named = (action) => ({ 'aria-label': strings.job.named(action, name) });
    const text = h('span', { class: 'status' }, strings.status[status]);
    const complain = (complaint) => {
      if (complaint) this.#context.announce(complaint);
      setText(text, complaint || strings.status[status]);
    };
    const owner = { job, context: this.#context, complain, done: () => this.#dismiss(toast, true) };
    const canDownload = status === 'succeeded' && actions.includes('open') && !job.expiredAt;
    const action = canDownload ? 'download' : actions.includes('retry') && 'retry';
    const act = action && actionButton(action, strings.job[action], 'soft', owner);
    if (act) act.setAttribute('aria-label', strings.job.named(strings.job[action], name));
    const toast = h(
      'div',
      { class: 'toast', part: 'toast', 'data-status': status },
      h('span', { class: 'status-icon' }, icon(status)),
      h('p', {}, h('strong', {}, bdi(title)), text),
      button('quiet clear', icon('close'), () => this.#dismiss(toast, true), named(words.dismiss)),
      h('div', { class: 'buttons' }, act, button('quiet', words.show, () => this.#onShow(job), named(words.show))),
    );
    this.#jobs.set(toast, job);
    this.element.append(toast);
    if (!this.element.matches(':popover-open')) this.element.showPopover();
    this.#soonOver(toast, action ? SHOWN_WITH_ACTION_FOR : SHOWN_FOR);
  }

  /** The message stays while it has pointer or focus or a request, and until a hidden tab is visible again. */
  #soonOver(toast, after) {
    const end = () => {
      const isUsed = toast.matches(':hover, :focus-within') || toast.querySelector('[aria-busy]');
      if (document.hidden || isUsed) this.#soonOver(toast, SHOWN_FOR);
      else this.#dismiss(toast);
    };
    this.#timers.set(toast, setTimeout(end, after));
  }

  /** Removes the message; the job does not change. */
  #dismiss(toast, byHand = false) {
    if (!toast) return;
    const next = toast.nextElementSibling ?? toast.previousElementSibling;
    const focused = toast.contains(this.element.getRootNode().activeElement);
    clearTimeout(this.#timers.get(toast));
    this.#timers.delete(toast);
    this.#jobs.delete(toast);
    toast.remove();
    if (byHand && focused) next?.querySelector('.clear').focus();
    if (next) return;
    this.#counts.clear();
    if (this.element.matches(':popover-open')) this.element.hidePopover();
  }
}
