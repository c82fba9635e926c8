/** Small elements shared by the parts of the dashboard. */

import { button, h, icon, setBusy, setText } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.js';
import { words } from './strings.js';

/** @param {string|null} look a class @param {string} text @param {(event: Event) => void} onclick */
export { button };

/** Parts of a table that small screens lay out as cards, with the roles that this would remove. */
export const heading = (look, ...content) => h('th', { scope: 'col', role: 'columnheader', class: look }, ...content);
export const cell = (look, label, ...content) =>
  h('td', { role: 'cell', class: look, 'data-label': label }, ...content);

/** Handle a click on a link, unless it opens another tab. @param {() => void} work */
export const follow = (work) => (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  work();
};

/** A placeholder for missing content. */
export const blank = (title, hint, ...more) =>
  h('div', { class: 'blank' }, h('p', {}, h('strong', {}, title)), hint && h('p', {}, hint), ...more);

/**
 * Content that drops down from a button, until Escape, an action in it, or a click or focus elsewhere.
 * @param {string} text of the button
 */
export function dropDown(text, ...content) {
  const box = h('div', { class: 'dropped', hidden: true }, ...content);
  const opener = button('drops', text, () => show(box.hidden), { 'aria-expanded': 'false' });
  const element = h('div', { class: 'drop' }, opener, box);
  const show = (open) => {
    box.hidden = !open;
    opener.setAttribute('aria-expanded', String(open));
    (open ? addEventListener : removeEventListener)('pointerdown', elsewhere, true);
  };
  const elsewhere = (event) => event.composedPath().includes(element) || show(false);
  const finish = () => {
    opener.focus();
    show(false);
  };
  box.addEventListener('click', (event) => event.target.closest('button') && finish(), true);
  element.addEventListener('focusout', ({ relatedTarget: next }) => next && !element.contains(next) && show(false));
  element.addEventListener('keydown', (event) => event.key === 'Escape' && !box.hidden && finish());
  return element;
}

/** A status as icon and word. */
export function statusOf(job) {
  const asked = job.cancelRequested && ['pending', 'running', 'retrying'].includes(job.status);
  const word = strings.status[job.status] ?? format.plain(job.status); // which a later version may have added
  const text = asked ? strings.job.cancelling : job.paused ? words.paused : word;
  return h('span', { class: 'status', 'data-status': job.status }, icon(job.status), h('span', {}, text));
}

/** How long ago, with the exact time as a tooltip. @param {string} iso @param {number} now */
export function timeElement(iso, now) {
  return h('time', { datetime: iso, title: format.moment(iso) }, format.ago(Math.max(0, now - Date.parse(iso))));
}

/** The end of an id, which differs more than its beginning. */
export const shortId = (id) => (String(id).length > 12 ? `…${String(id).slice(-8)}` : String(id));

/** Like `duration`, but "50 ms" instead of "0.1 s". @param {number|null|undefined} milliseconds */
export function exactDuration(milliseconds) {
  const small = typeof milliseconds === 'number' && milliseconds >= 0 && milliseconds < 995;
  return small ? `${Math.round(milliseconds)} ms` : format.duration(milliseconds);
}

/** An error message with a fixed place. */
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

/** A button that copies a text. @param {string} what @param {() => string} textOf @param {(text: string) => void} announce */
export function copier(what, textOf, announce) {
  const element = button('small quiet', words.copy, async () => {
    const done = await navigator.clipboard.writeText(textOf()).then(() => words.copied, () => words.notCopied);
    setText(element, done);
    announce(done);
  }, { 'aria-label': words.copyOf(what) });
  return element;
}

/** Restore the focus after a dialog was closed: the element that had it may be gone. */
export function refocus(dialog, selector) {
  const root = dialog.getRootNode();
  const lost = !root.activeElement || dialog.contains(root.activeElement);
  if (lost) (root.querySelector(selector) ?? root.querySelector('h1'))?.focus();
}

/**
 * Run the action of a button: one at a time, with a message if it fails.
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

/** The loading and error state of a view, above its previous content. */
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

  /** Show and rethrow the error of a failed read. @param {() => Promise<void>} work */
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
