/** The queues: messages, the oldest waiting job, poison messages, which can be moved back, and pauses of their kinds. */

import { bdi, h, patchChildren, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { Loading, Note, act, blank, button, cell, heading } from './widgets.js';
import { words } from './strings.js';

const texts = words.queues;
const COUNTS = ['messages', 'waiting', 'running', 'delayed', 'poison'];
const ORDER = ['messages', 'waiting', 'oldest', 'running', 'delayed', 'poison'];

export class QueuesView {
  #context;
  #loading;
  #rows = new Map();
  #note = new Note();
  #body = h('tbody', { role: 'rowgroup' });
  #table;
  #blank = h('div', { hidden: true }, blank(texts.empty));

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.#loading = new Loading(() => context.changed());
    this.#loading.begin();
    const names = ['queue', ...ORDER, ...(context.options.canAct ? ['actions'] : [])];
    const headings = names.map((name) =>
      heading(null, h('span', { class: name === 'actions' && 'sr-only' }, texts.columns[name])));
    this.#table = h(
      'table',
      { class: 'queues', role: 'table', 'aria-label': texts.label, hidden: true },
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...headings)),
      this.#body,
    );
    const about = h('p', { class: 'muted' }, texts.about);
    const parts = [about, this.#note.element, this.#loading.element, this.#table, this.#blank];
    this.element = h('section', { 'aria-label': texts.label }, ...parts);
  }

  show() {}

  refresh() {
    return this.#loading.around(async () => {
      const { queues } = await this.#context.api.queues();
      this.#loading.end();
      this.#render(queues);
    });
  }

  tick() {
    for (const { cells, paused, queue } of this.#rows.values()) {
      setText(cells.oldest, this.#age(queue));
      const ago = format.ago(Math.max(0, this.#context.now() - Date.parse(queue.pausedAt)));
      setText(paused, queue.pausedAt ? texts.paused(ago, format.plain(queue.pausedBy)) : '');
    }
  }

  #render(queues) {
    this.#table.hidden = queues.length === 0;
    this.#blank.hidden = queues.length > 0;
    const elements = queues.map((queue) => {
      if (!this.#rows.has(queue.queue)) this.#rows.set(queue.queue, this.#makeRow(queue));
      const row = this.#rows.get(queue.queue);
      row.queue = queue;
      for (const name of COUNTS) setText(row.cells[name], queue[name] === null ? texts.unknown : words.number(queue[name]));
      row.element.dataset.poison = String(queue.poison > 0);
      row.paused.hidden = !queue.pausedAt;
      row.paused.title = queue.pausedAt ? format.moment(queue.pausedAt) : '';
      if (row.redrive) {
        const next = queue.pausedAt ? 'resume' : 'pause';
        setText(row.pause, texts[next]);
        setAttribute(row.pause, 'aria-label', `${texts[next]}: ${queue.kind}`);
        row.redrive.hidden = !queue.poison;
        setAttribute(row.redrive, 'aria-label', `${texts.redrive}: ${texts.redriveLabel(queue.poison, queue.queue)}`);
      }
      return row.element;
    });
    patchChildren(this.#body, elements);
    this.tick();
  }

  #makeRow({ queue, kind }) {
    const cells = Object.fromEntries(ORDER.map((name) => [name, cell(`c-${name}`, texts.columns[name])]));
    const of = kind !== queue && h('span', { class: 'text' }, bdi(kind));
    const paused = h('span', { class: 'text', hidden: true });
    const name = h('th', { scope: 'row', role: 'rowheader' }, h('strong', {}, bdi(queue)), of, paused);
    const element = h('tr', { role: 'row' }, name, ...Object.values(cells));
    if (!this.#context.options.canAct) return { element, cells, paused };
    const redrive = button('small', texts.redrive, (event) => this.#redrive(queue, event.currentTarget));
    const pause = button('small', '', (event) => this.#setPaused(queue, event.currentTarget));
    element.append(cell('c-actions', null, redrive, pause));
    return { element, cells, paused, redrive, pause };
  }

  #age({ waitingSince }) {
    return format.duration(waitingSince && Math.max(0, this.#context.now() - Date.parse(waitingSince)));
  }

  #setPaused(name, pressed) {
    const { api, announce, changed } = this.#context;
    const { kind, pausedAt } = this.#rows.get(name).queue;
    return act(pressed, this.#note, texts.notPaused, announce, async () => {
      const { pausedAt: since } = await api.setPaused(kind, pausedAt ? 'resume' : 'pause');
      announce((since ? texts.isPaused : texts.isResumed)(kind));
      await changed();
    });
  }

  #redrive(queue, pressed) {
    const { api, announce, changed } = this.#context;
    return act(pressed, this.#note, texts.failed, announce, async () => {
      const { moved } = await api.redrive(queue);
      announce(texts.moved(moved, queue));
      this.#table.setAttribute('tabindex', '-1');
      this.#table.focus();
      await changed();
    });
  }
}
