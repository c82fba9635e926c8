/** A form that starts a job of any kind. */

import { button, h } from '../../dom.js';
import * as format from '../../format.js';
import { Note, act, follow } from '../widgets.js';
import { RequestForm } from './request-form.js';
import { words } from './strings.js';

const texts = words.start;

export class StartJob {
  #context;
  #note = new Note();
  #done = h('p', { hidden: true });
  #kinds;
  #form = null;
  #key = null;
  #place = h('div', {});
  #submit = button('primary', texts.start, null, { type: 'submit', hidden: true });

  /** @param {import('../../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    const options = ['', ...context.options.kinds].map((kind) => h('option', { value: kind }, kind || texts.choose));
    this.#kinds = h('select', { id: 'start-kind', onchange: () => this.#choose() }, ...options);
    const kind = h('div', { class: 'request-field' }, h('label', { for: 'start-kind' }, texts.kind), this.#kinds);
    const onsubmit = (event) => {
      event.preventDefault();
      this.#start();
    };
    // Another request needs another key.
    const oninput = () => (this.#key = null);
    const form = h('form', { class: 'request', novalidate: true, onsubmit, oninput }, kind, this.#place, this.#submit, this.#note.element, this.#done);
    this.element = h('section', { 'aria-label': texts.label }, h('h2', {}, texts.label), h('p', { class: 'muted' }, texts.about), form);
  }

  refresh() {}

  tick() {}

  async #choose() {
    const kind = this.#kinds.value;
    this.#show(null);
    this.#done.hidden = true;
    this.#note.hide();
    if (!kind) return;
    // Another kind may be chosen in the meantime.
    const isLate = () => this.#kinds.value !== kind;
    try {
      const { jsonSchema } = await this.#context.api.requestSchema(kind);
      if (!isLate()) this.#show(new RequestForm(jsonSchema));
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (isLate()) return;
      this.#note.show(format.failure(texts.noForm, error));
      this.#kinds.value = '';
    }
  }

  #show(form) {
    this.#form = form;
    this.#key = null;
    this.#submit.hidden = !form;
    const content = form?.isEmpty ? h('p', { class: 'muted' }, texts.noFields) : form?.element;
    this.#place.replaceChildren(...(content ? [content] : []));
  }

  #start() {
    const request = this.#form?.read();
    if (request === undefined) return undefined;
    const { api, announce, navigate, address, changed } = this.#context;
    const kind = this.#kinds.value;
    return act(this.#submit, this.#note, texts.failed, announce, async () => {
      // The same until it has succeeded: the response to the first click may have been lost.
      this.#key ??= `form:${crypto.randomUUID()}`;
      const { id } = await api.start(kind, request, this.#key);
      this.#key = null;
      announce(texts.started(kind));
      const job = String(id);
      const link = h('a', { href: address({ job }), onclick: follow(() => navigate({ job })) }, texts.showJob);
      this.#done.replaceChildren(`${texts.started(kind)}. `, link);
      this.#done.hidden = false;
      await changed();
    });
  }
}
