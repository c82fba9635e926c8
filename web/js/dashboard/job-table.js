/** The table of jobs. Rows are created once and changed in place, so that they keep focus and selection. */

import { bdi, h, patchChildren, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { render } from '../renderers/index.js';
import { strings } from '../strings.js';
import { button, cell, exactDuration, follow, heading, shortId, statusOf } from './widgets.js';
import { words } from './strings.js';

const texts = words.list;
const COLUMNS = ['status', 'job', 'user', 'created', 'wait', 'run', 'error'];

export class JobTable {
  /** Ids of selected jobs that are shown. @type {Set<string>} */
  selected = new Set();

  #context;
  #handlers;
  #rows = new Map();
  #all = h('input', { type: 'checkbox', 'aria-label': texts.selectAll, onchange: () => this.selectAll(this.#all.checked) });
  #body = h('tbody', { role: 'rowgroup', onchange: () => this.#selectionChanged() });

  /**
   * @param {import('../types.d.ts').DashboardContext} context
   * @param {object} handlers
   * @param {(job: object) => void} handlers.open
   * @param {(action: string, job: object, pressed: HTMLElement) => void} handlers.act
   * @param {() => void} handlers.select after the selection has changed
   */
  constructor(context, handlers) {
    this.#context = context;
    this.#handlers = handlers;
    const { canAct } = context.options;
    const headings = COLUMNS.map((name) => heading(`c-${name}`, texts.columns[name]));
    if (canAct) {
      const all = h('label', {}, this.#all, h('span', { class: 'wide-only' }, texts.selectAll));
      headings.unshift(cell('c-check', null, all));
      headings.push(heading('c-actions', h('span', { class: 'sr-only' }, texts.columns.actions)));
    }
    // Explicit roles: laying the elements out as cards on a small screen would remove the implicit ones.
    this.element = h(
      'table',
      { class: 'jobs', role: 'table', 'aria-label': texts.label },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...headings)),
      this.#body,
    );
  }

  /** @param {import('../types.d.ts').AdminJob[]} jobs in their order */
  render(jobs) {
    const shown = new Set(jobs.map((job) => String(job.id)));
    for (const id of this.#rows.keys()) if (!shown.has(id)) this.#rows.delete(id);
    const now = this.#context.now();
    const elements = jobs.map((job) => {
      const id = String(job.id);
      if (!this.#rows.has(id)) this.#rows.set(id, new Row(this.#context, this.#handlers));
      const row = this.#rows.get(id);
      row.update(job, now);
      return row.element;
    });
    const focused = this.element.getRootNode().activeElement?.closest('tr');
    const index = [...this.#body.children].indexOf(focused);
    patchChildren(this.#body, elements);
    if (index >= 0 && !focused.isConnected) (elements[index] ?? elements.at(-1))?.querySelector('a').focus();
    this.#selectionChanged();
  }

  /** Update the displayed times. */
  tick() {
    const now = this.#context.now();
    for (const row of this.#rows.values()) row.tick(now);
  }

  /** Selected jobs that can be retried, or cancelled. @param {'retry'|'cancel'} action */
  selectedFor(action) {
    const rows = [...this.#rows.values()].filter((row) => row.selected && row.job.actions.includes(action));
    return rows.map((row) => row.job);
  }

  selectAll(selected) {
    for (const row of this.#rows.values()) row.selected = selected;
    this.#selectionChanged();
  }

  #selectionChanged() {
    const before = this.selected.size;
    this.selected = new Set([...this.#rows].filter(([, row]) => row.selected).map(([id]) => id));
    this.#all.checked = this.selected.size > 0 && this.selected.size === this.#rows.size;
    this.#all.indeterminate = this.selected.size > 0 && !this.#all.checked;
    if (this.selected.size + before > 0) this.#handlers.select();
  }
}

class Row {
  job = null;

  #context;
  #shown = '';
  #check = h('input', { type: 'checkbox' });
  #cells = Object.fromEntries(COLUMNS.map((name) => [name, cell(`c-${name}`, texts.columns[name])]));
  #link = h('a', { href: '?' });
  #created = h('time');
  #progress = h('bdi', { class: 'progress' });
  #buttons = {};

  constructor(context, { open, act }) {
    this.#context = context;
    this.element = h('tr', { role: 'row' }, ...Object.values(this.#cells));
    this.#cells.created.append(this.#created);
    this.#cells.job.append(this.#link);
    this.#link.addEventListener('click', follow(() => open(this.job)));
    if (!context.options.canAct) return;
    this.element.prepend(cell('c-check', null, h('label', {}, this.#check)));
    for (const action of ['retry', 'cancel']) {
      const pressed = (event) => act(action, this.job, event.currentTarget);
      this.#buttons[action] = button('small', words.job.act[action], pressed);
    }
    this.element.append(cell('c-actions', null, ...Object.values(this.#buttons)));
  }

  get selected() {
    return this.#check.checked;
  }

  set selected(selected) {
    this.#check.checked = selected;
  }

  update(job, now) {
    const text = JSON.stringify(job);
    this.job = job;
    if (text !== this.#shown) this.#rebuild(job);
    // So that going back leads to the current list.
    setAttribute(this.#link, 'href', this.#context.address({ job: job.id }));
    this.#shown = text;
    this.tick(now);
  }

  tick(now) {
    const { job } = this;
    setText(this.#created, format.ago(Math.max(0, now - Date.parse(job.createdAt))));
    const since = job.status === 'running' ? now - Date.parse(job.startedAt) : null;
    setText(this.#cells.run, since === null ? exactDuration(job.durationMs) : format.ticking(since));
  }

  #rebuild(job) {
    const { status, user, wait, error } = this.#cells;
    const { id } = job;
    setText(wait, exactDuration(job.waitMs));
    setText(this.#progress, format.plain(progressOf(job)));
    const now = statusOf(job);
    if (status.firstElementChild?.textContent !== now.textContent) status.replaceChildren(now, this.#progress);
    const told = job.error ? h('p', { dir: 'auto' }, h('strong', {}, bdi(job.error.class)), ' ', bdi(job.error.message)) : '';
    if (error.textContent !== (told.textContent ?? '')) error.replaceChildren(told);
    if (!this.#shown) {
      const label = render(job, 'title', { strings });
      this.#link.replaceChildren(h('strong', {}, bdi(label)), h('span', { class: 'kind' }, bdi(job.kind), ' ', bdi(shortId(id))));
      this.#link.title = format.plain(label);
      user.replaceChildren(bdi(job.userName ?? job.userId));
      user.title = format.plain([job.userName, job.userId].filter(Boolean).join('\n'));
      this.#created.dateTime = job.createdAt;
      this.#created.title = format.moment(job.createdAt);
    }
    this.#check.setAttribute('aria-label', texts.select(id));
    for (const [action, element] of Object.entries(this.#buttons)) {
      const offered = job.actions.includes(action);
      // A removed button must not take the focus with it.
      if (!offered && this.element.getRootNode().activeElement === element) this.#link.focus();
      element.hidden = !offered;
      setAttribute(element, 'aria-label', texts.act(action, id));
    }
  }
}

function progressOf({ status, progress, progressMessage, attempt, maxAttempts }) {
  const running = status === 'running' && typeof progress === 'number';
  const tried = attempt > 1 && texts.attempt(attempt, maxAttempts);
  return [tried, running && format.share(progress), running && progressMessage].filter(Boolean).join(' · ');
}
