/** Notifications of the system about jobs that end while the page is hidden, where the person has switched them on. */

import { button, setAttribute } from '../dom.js';
import { strings } from '../strings.js';
import { digest } from './announcer.js';

const words = strings.notices;
const CHOICE = 'queued-jobs.notifications';
const VISIBLE = 'queued-jobs.visible';
/** Tabs hear of an end at different times: a hidden one may ask for news once in five minutes. */
const CLAIMED_FOR = 6 * 60_000;

class Notices {
  #panel;
  #shown = new Set();
  #release = () => {};
  #end = new AbortController();

  element = button('quiet switch', words.turn, () => this.#turn(!this.on), { role: 'switch' });

  /** @param {import('./job-panel.js').JobPanel} panel has the switch, and shows a job */
  constructor(panel) {
    this.#panel = panel;
    panel.element.append(this.element);
    const { signal } = this.#end;
    document.addEventListener('visibilitychange', () => this.#update(), { signal });
    // Switched in another tab.
    addEventListener('storage', () => this.#update(), { signal });
    this.#update();
  }

  get on() {
    return Notification.permission === 'granted' && storage().getItem(CHOICE) === 'on';
  }

  removed() {
    this.#end.abort();
    this.#release();
  }

  /** Each end is shown by one tab, and by none while one of them is visible. */
  async announced(jobs) {
    if (!this.on || !document.hidden) return;
    const { held } = await navigator.locks.query();
    if (held.some(({ name }) => name === VISIBLE)) return;
    const claims = await Promise.all(jobs.map(claim));
    const mine = jobs.filter((job, index) => claims[index]);
    if (mine.length === 0 || !document.hidden) return;
    const [job] = mine;
    const notice = new Notification(digest(mine), { tag: `queued-jobs.${job.id}` });
    this.#shown.add(notice);
    notice.addEventListener('click', () => {
      focus();
      this.#panel.reveal(job);
    });
  }

  async #turn(on) {
    if (on && (await Notification.requestPermission()) !== 'granted') this.#panel.complain(words.blocked);
    else storage().setItem(CHOICE, on ? 'on' : 'off');
    this.#update();
  }

  #update() {
    setAttribute(this.element, 'aria-checked', String(this.on));
    this.#release();
    if (document.hidden) return;
    // Who is back sees the same in the bell.
    for (const notice of this.#shown) notice.close();
    this.#shown.clear();
    // A page that holds a lock is not kept for "Back", so only if it is needed.
    if (this.on) navigator.locks.request(VISIBLE, { mode: 'shared' }, () => this.#untilHidden());
  }

  #untilHidden() {
    const { signal } = this.#end;
    return document.hidden || signal.aborted ? null : new Promise((release) => (this.#release = release));
  }
}

/** Null where a page must not store anything. */
function storage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/** Whether this tab is the first one to ask for this end of a job. */
const claim = ({ id, version }) =>
  new Promise((tell) => {
    navigator.locks.request(`queued-jobs.${id}.${version}`, { ifAvailable: true }, (lock) => {
      tell(lock !== null);
      return lock && new Promise((release) => setTimeout(release, CLAIMED_FOR));
    });
  });

/** Android has notifications from service workers only. @param {import('../types.d.ts').BellParts} parts */
export function create({ panel }) {
  const isSupported = globalThis.Notification && navigator.locks && storage() && !/Android/.test(navigator.userAgent);
  return isSupported ? new Notices(panel) : null;
}
