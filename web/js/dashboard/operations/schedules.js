/** The kinds with a schedule: their last and next run, and a button that starts one now. */

import { bdi, h, setText } from '../../dom.js';
import * as format from '../../format.js';
import { Note, act, button, cell, follow } from '../widgets.js';
import { Listing } from './listing.js';
import { words } from './strings.js';

const texts = words.schedules;

export class Schedules {
  #context;
  #note = new Note();
  #listing;

  /** @param {import('../../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    const { actions, ...columns } = texts.columns;
    const shown = { ...texts, columns: context.options.canAct ? texts.columns : columns };
    this.#listing = new Listing(shown, this.#note.element);
    this.element = this.#listing.element;
  }

  async refresh() {
    const { schedules } = await this.#context.api.schedules();
    this.#listing.show(schedules, ({ kind }) => kind, (schedule) => this.#make(schedule));
    this.tick();
  }

  tick() {
    const now = this.#context.now();
    for (const { item, last, next } of this.#listing.rows) {
      showTime(last, item.lastAt, item.lastAt ? format.ago(Math.max(0, now - Date.parse(item.lastAt))) : texts.never);
      const left = Date.parse(item.nextAt) - now;
      showTime(next, item.nextAt, left > 0 ? texts.in(format.ticking(left)) : texts.due);
    }
  }

  #make({ kind, expression }) {
    const [last, next] = [h('time', {}), h('time', {})];
    const job = h('span', { class: 'text' });
    const element = h(
      'tr',
      { role: 'row' },
      h('th', { scope: 'row', role: 'rowheader' }, h('strong', {}, bdi(kind)), job),
      cell(null, texts.columns.schedule, h('code', {}, bdi(expression))),
      cell(null, texts.columns.last, last),
      cell(null, texts.columns.next, next),
    );
    const row = { element, last, next, job, key: null };
    if (!this.#context.options.canAct) return row;
    const run = button('small', texts.run, () => this.#run(row, run), { 'aria-label': `${texts.run}: ${kind}` });
    element.append(cell('c-actions', null, run));
    return row;
  }

  #run(row, pressed) {
    const { api, announce, navigate, address, changed } = this.#context;
    const { kind } = row.item;
    return act(pressed, this.#note, texts.failed, announce, async () => {
      // The same until it has succeeded: the response to the first click may have been lost.
      row.key ??= crypto.randomUUID();
      const { id } = await api.runNow(kind, row.key);
      row.key = null;
      announce(texts.started(kind));
      const job = String(id);
      const open = follow(() => navigate({ job }));
      const link = { href: address({ job }), onclick: open, 'aria-label': `${texts.showJob}: ${kind}` };
      row.job.replaceChildren(h('a', link, texts.showJob));
      await changed();
    });
  }
}

function showTime(element, iso, text) {
  setText(element, text);
  if (iso) Object.assign(element, { dateTime: iso, title: format.moment(iso) });
}
