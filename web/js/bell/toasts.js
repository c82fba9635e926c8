/** Short messages about jobs that have ended, if the page enables them. The panel shows the same. */

import { bdi, button, h, icon, isLow, setText } from '../dom.js';
import { hasEnded, newestFirst } from '../feed/store.js';
import { numbered } from '../format.js';
import { strings } from '../strings.js';
import { actionButton } from './action-button.js';
import { titleOf } from './job-row.js';

const words = strings.toast;
const AT_MOST = 3;
const SHOWN_FOR = 8000;
/** Time to reach what can be done. */
const SHOWN_WITH_ACTION_FOR = 20_000;
const MARGIN = 16;

class Toasts {
  #parts;
  #whose;
  #timers = new Map();
  #jobs = new Map();
  #counts = new Map();

  /** @param {import('../types.d.ts').BellParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.element = h('div', {
      class: 'toasts',
      popover: 'manual',
      role: 'region',
      'aria-label': words.region,
      onkeydown: (event) => event.key === 'Escape' && this.#dismiss(event.target.closest('.toast'), true),
    });
    parts.button.after(this.element);
  }

  /** What the open panel shows does not need a message. @param {import('../types.d.ts').Change} change @param {boolean} isOpen */
  changed({ ended, early = [] }, isOpen) {
    const { feed, button: bell } = this.#parts;
    if (feed.whose !== this.#whose) this.hide();
    this.#whose = feed.whose;
    // About jobs that run again, or are gone.
    for (const [toast, { id, finishedAt }] of this.#jobs) {
      if (feed.store.get(id)?.finishedAt !== finishedAt) this.#dismiss(toast, true);
    }
    const started = feed.takeStarted([...ended, ...early]);
    if (isOpen || started.length === 0) return;
    const { top, bottom } = bell.getBoundingClientRect();
    const low = isLow(bell);
    const room = (low ? top : document.documentElement.clientHeight - bottom) - 2 * MARGIN;
    this.element.dataset.side = low ? 'above' : 'below';
    // A read lists the newest first; the newest message comes last, and is kept if there are too many.
    for (const job of started.sort((a, b) => newestFirst(b, a))) this.#add(job);
    const { children } = this.element;
    while (children.length > 1 && (children.length > AT_MOST || this.element.offsetHeight > room)) this.#dismiss(children[0]);
  }

  hide() {
    for (const toast of [...this.element.children]) this.#dismiss(toast);
  }

  removed() {
    this.hide();
  }

  #add(job) {
    const { status, actions } = job;
    const title = titleOf(job);
    const name = numbered(this.#counts, title);
    const named = (action) => ({ 'aria-label': strings.job.named(action, name) });
    const text = h('span', { class: 'status' }, strings.status[status]);
    const complain = (complaint) => {
      if (complaint) this.#parts.announce(complaint);
      setText(text, complaint || strings.status[status]);
    };
    const owner = { job, context: this.#parts, complain, done: () => this.#dismiss(toast, true) };
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
      h('div', { class: 'buttons' }, act, button('quiet', words.show, () => this.#parts.panel.reveal(job), named(words.show))),
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

/** @param {import('../types.d.ts').BellParts} parts */
export function create(parts) {
  const { feed, panel } = parts;
  const toasts = new Toasts(parts);
  // What has ended since the page was opened, before this was loaded.
  toasts.changed({ ended: feed.store.list().filter(hasEnded) }, panel.element.matches(':popover-open'));
  return toasts;
}
