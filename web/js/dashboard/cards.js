/** The figures above all views: what goes on now, and how the period went. */

import { h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.en.js';
import { exactDuration } from './parts.js';
import { words } from './strings.en.js';

const texts = words.cards;

export class Cards {
  #context;
  #total = null;
  #cards = {};

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    const links = {
      running: ['running'],
      waiting: ['pending', 'retrying'],
      succeeded: ['succeeded'],
      failed: ['failed', 'aborted'],
    };
    for (const name of ['running', 'waiting', 'succeeded', 'failed', 'wait', 'run']) {
      const value = h('span', { class: 'value' }, strings.none);
      const more = h('span', { class: 'muted' });
      const label = h('span', { class: 'label' }, texts[name]);
      const target = links[name] && { view: 'jobs', filters: { status: links[name] }, before: null };
      const inside = [label, value, more];
      const follow = (event) => this.#follow(event, target);
      const element = target ? h('a', { href: '?', onclick: follow }, ...inside) : h('div', {}, ...inside);
      this.#cards[name] = { element, value, more, target };
    }
    const items = Object.entries(this.#cards).map(([name, { element }]) => h('li', { class: `card ${name}` }, element));
    this.element = h('ul', { class: 'cards', role: 'list', 'aria-label': texts.label, 'aria-busy': 'true' }, ...items);
  }

  /** @param {object} total of the statistics */
  show(total) {
    this.#total = total;
    this.element.removeAttribute('aria-busy');
    const ended = total.succeeded + total.failed;
    const { wait, run } = total;
    this.#set('running', words.number(total.running), '');
    this.#set('succeeded', words.number(total.succeeded), '');
    const share = ended > 0 ? texts.failedShare(format.share(total.failed / ended)) : '';
    this.#set('failed', words.number(total.failed), share);
    this.#set('wait', `${texts.p95} ${exactDuration(wait?.p95)}`, wait ? texts.median(exactDuration(wait.p50)) : '');
    this.#set('run', `${texts.p95} ${exactDuration(run?.p95)}`, run ? texts.median(exactDuration(run.p50)) : '');
    setAttribute(this.element, 'data-failed', total.failed > 0 && '');
    this.tick();
  }

  tick() {
    if (!this.#total) return;
    const { waiting, waitingSince, delayed } = this.#total;
    const oldest = waitingSince && texts.oldest(format.ticking(this.#context.now() - Date.parse(waitingSince)));
    const more = [oldest, delayed > 0 && texts.delayed(delayed)].filter(Boolean);
    this.#set('waiting', words.number(waiting), more.join(', '));
  }

  /** The addresses of the links are those of the present period. */
  readdress() {
    for (const { element, target } of Object.values(this.#cards)) {
      if (target) element.href = this.#context.address(target);
    }
  }

  #set(name, value, more) {
    setText(this.#cards[name].value, value);
    setText(this.#cards[name].more, more);
  }

  #follow(event, target) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#context.navigate(target);
  }
}
