/** The most frequent failures, grouped by the common parts of their errors. */

import { bdi, h, setText } from '../dom.js';
import * as format from '../format.js';
import { WINDOWS } from './url-state.js';
import { Loading, blank, button, cell, heading, timeElement } from './widgets.js';
import { words } from './strings.js';

const texts = words.failures;

export class FailuresView {
  #context;
  #state = null;
  #loading;
  #shown = '';
  #since = h('p', { class: 'muted' });
  #more = h('p', { class: 'hint', hidden: true }, texts.more);
  #content = h('div', {});

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.#loading = new Loading(() => context.changed());
    const parts = [this.#since, this.#loading.element, this.#content, this.#more];
    this.element = h('section', { 'aria-label': texts.label }, ...parts);
  }

  show(state) {
    if (this.#state?.window !== state.window) this.#loading.begin();
    this.#state = state;
  }

  refresh() {
    const { window } = this.#state;
    return this.#loading.around(async () => {
      const found = await this.#context.api.failures(WINDOWS[window].minutes);
      if (window !== this.#state.window) return;
      this.#loading.end();
      this.#render(found);
    });
  }

  #render({ since, groups, more }) {
    setText(this.#since, texts.since(format.moment(since)));
    this.#more.hidden = !more;
    const text = JSON.stringify(groups);
    if (text === this.#shown) return;
    this.#shown = text;
    if (groups.length === 0) return this.#content.replaceChildren(blank(texts.empty));
    const { error, failures, kinds, last, first, actions } = texts.columns;
    const head = [error, failures, kinds, last, first].map((name) => heading(null, name));
    head.push(heading(null, h('span', { class: 'sr-only' }, actions)));
    const rows = groups.map((group) => this.#row(group, since));
    this.#content.replaceChildren(
      h(
        'table',
        { class: 'groups', role: 'table', 'aria-label': texts.label },
        h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ...head)),
        h('tbody', { role: 'rowgroup' }, ...rows),
      ),
    );
  }

  #row(group, since) {
    const { navigate, now } = this.#context;
    const { columns } = texts;
    const type = format.plain(`${group.class}: ${group.message}`);
    const show = button('small', texts.show, () => this.#showJobs(group, since));
    show.setAttribute('aria-label', texts.showLabel(type));
    const example = button('small', texts.example, () => navigate({ job: String(group.example) }));
    example.setAttribute('aria-label', texts.exampleLabel(type));
    const named = (name, ...content) => cell(`c-${name}`, columns[name], ...content);
    const text = h('span', { class: 'text' }, bdi(group.message));
    return h(
      'tr',
      { role: 'row' },
      h('th', { scope: 'row', role: 'rowheader' }, h('strong', {}, bdi(group.class)), text),
      named('failures', words.number(group.failures)),
      named('kinds', bdi(group.kinds.join(', '))),
      named('last', timeElement(group.lastAt, now())),
      named('first', timeElement(group.firstAt, now())),
      cell('c-actions', null, show, example),
    );
  }
  async #showJobs({ class: error, message, failures }, from) {
    const { api, navigate } = this.#context;
    // The longest common part.
    const [longest] = message.split(/<(?:n|id|text)>/).sort((one, other) => other.length - one.length);
    const text = [...longest.trim()].slice(0, 200).join('') || undefined;
    const wide = { status: ['failed', 'aborted'], error, text };
    const narrow = { ...wide, from };
    // They failed in this period; some may have been created earlier.
    const all = await api.count(narrow).then(({ number }) => number >= failures, () => true);
    navigate({ view: 'jobs', filters: all ? narrow : wide, before: null });
  }
}
