/** What workers run now: their job, since when, and their last heartbeat. */

import { bdi, h, setAttribute, setText } from '../../dom.js';
import * as format from '../../format.js';
import { strings } from '../../strings.js';
import { cell, follow, shortId } from '../widgets.js';
import { Listing } from './listing.js';
import { words } from './strings.js';

const texts = words.workers;

export class Workers {
  #context;
  #more = h('p', { class: 'hint', hidden: true }, texts.more);
  #listing = new Listing(texts, this.#more);

  /** @param {import('../../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.element = this.#listing.element;
  }

  async refresh() {
    const { running, more } = await this.#context.api.workers();
    this.#more.hidden = !more;
    this.#listing.show(running, ({ id, attempt }) => `${id} ${attempt}`, (job) => this.#make(job));
    this.tick();
  }

  tick() {
    const past = (iso) => Math.max(0, this.#context.now() - Date.parse(iso));
    for (const { item, since, heartbeat } of this.#listing.rows) {
      setText(since, format.ticking(past(item.startedAt)));
      const beat = item.heartbeatAt ? format.ago(past(item.heartbeatAt)) : format.moment(item.leaseUntil);
      setText(heartbeat, item.isOverdue ? texts.overdue : beat);
      setAttribute(heartbeat, 'class', item.isOverdue && 'outcome');
      setAttribute(heartbeat, 'data-outcome', item.isOverdue && 'lost');
    }
  }

  #make({ workerId, id, kind, attempt, startedAt }) {
    const { address, navigate } = this.#context;
    const job = String(id);
    const link = h('a', { href: address({ job }), onclick: follow(() => navigate({ job })), title: job }, bdi(shortId(job)));
    const since = h('time', { datetime: startedAt, title: format.moment(startedAt) });
    const heartbeat = h('span', {});
    const { columns } = texts;
    const element = h(
      'tr',
      { role: 'row' },
      h('th', { scope: 'row', role: 'rowheader' }, h('strong', {}, bdi(workerId ?? strings.none))),
      cell(null, columns.kind, bdi(kind)),
      cell(null, columns.job, link, ' ', attempt > 1 && h('span', { class: 'muted' }, texts.attempt(attempt))),
      cell(null, columns.since, since),
      cell(null, columns.heartbeat, heartbeat),
    );
    return { element, since, heartbeat };
  }
}
