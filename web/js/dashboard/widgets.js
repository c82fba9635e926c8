/** Small elements that several parts of the dashboard have. */

import { button, h, icon, setBusy, setText } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.en.js';
import { words } from './strings.en.js';

/** @param {string|null} look a class @param {string} text @param {(event: Event) => void} onclick */
export { button };

/** Parts of a table that small screens lay out as cards: the roles stay, which that would remove. */
export const heading = (look, ...content) => h('th', { scope: 'col', role: 'columnheader', class: look }, ...content);
export const cell = (look, label, ...content) =>
  h('td', { role: 'cell', class: look, 'data-label': label }, ...content);

/** What a click on a link does here, unless it asks the browser for another tab. @param {() => void} work */
export const follow = (work) => (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  work();
};

/** What stands where there is nothing else. */
export const blank = (title, hint, ...more) =>
  h('div', { class: 'blank' }, h('p', {}, h('strong', {}, title)), hint && h('p', {}, hint), ...more);

/** A status as icon and word. */
export function statusOf(job) {
  const asked = job.cancelRequested && ['pending', 'running', 'retrying'].includes(job.status);
  const text = asked ? strings.job.cancelling : strings.status[job.status];
  return h('span', { class: 'status', 'data-status': job.status }, icon(job.status), h('span', {}, text));
}

/** How long ago, with the moment itself as a hint. @param {string} iso @param {number} now */
export function timeElement(iso, now) {
  return h('time', { datetime: iso, title: format.moment(iso) }, format.ago(Math.max(0, now - Date.parse(iso))));
}

/** The end of an id, which differs more than its beginning. */
export const shortId = (id) => (String(id).length > 12 ? `…${String(id).slice(-8)}` : String(id));

/** "50 ms" for what `duration` would call 0.1 s. @param {number|null|undefined} milliseconds */
export function exactDuration(milliseconds) {
  const small = typeof milliseconds === 'number' && milliseconds >= 0 && milliseconds < 995;
  return small ? `${Math.round(milliseconds)} ms` : format.duration(milliseconds);
}

/** A message about what went wrong, which stays in place. */
export class Note {
  element = h('p', { class: 'note', hidden: true });

  show(text) {
    setText(this.element, text);
    this.element.hidden = false;
  }

  hide() {
    this.element.hidden = true;
  }
}

/** After a dialog has closed: what had the focus before may be gone, and the focus with it. */
export function refocus(dialog, selector) {
  const root = dialog.getRootNode();
  const lost = !root.activeElement || dialog.contains(root.activeElement);
  if (lost) (root.querySelector(selector) ?? root.querySelector('h1'))?.focus();
}

/**
 * Run what a button starts: once at a time, and with words where it fails.
 * @param {HTMLElement} pressed @param {Note} note @param {string} complaint
 * @param {(text: string) => void} announce @param {() => Promise<void>} work
 */
export async function act(pressed, note, complaint, announce, work) {
  if (pressed.getAttribute('aria-busy') === 'true') return;
  setBusy(pressed, true);
  note.hide();
  try {
    await work();
  } catch (error) {
    if (error.name !== 'ApiError') throw error;
    note.show(format.failure(complaint, error));
    announce(format.failure(complaint, error));
  } finally {
    setBusy(pressed, false);
  }
}

/** What a view shows while it loads, and where that failed; one of these at a time, above what it has already. */
export class Loading {
  element = h('div', { class: 'loading' });
  #again;

  /** @param {() => void} again */
  constructor(again) {
    this.#again = again;
  }

  begin() {
    this.element.replaceChildren(h('p', { class: 'muted', role: 'status' }, words.loading));
  }

  end() {
    this.element.replaceChildren();
  }

  /** Say so when a read fails, which throws all the same. @param {() => Promise<void>} work */
  async around(work) {
    try {
      await work();
    } catch (error) {
      if (error.name === 'ApiError' && error.status !== 401) this.#fail(error);
      throw error;
    }
  }

  #fail(error) {
    const text = h('p', { class: 'note' }, `${words.couldNotLoad}. ${format.reason(error)}`);
    if (this.element.textContent.startsWith(text.textContent)) return;
    this.element.replaceChildren(text, button(null, words.tryAgain, () => this.#again()));
  }
}
