/** The figures above all views: the current state, and a summary of the period. */

import { h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.en.js';
import { exactDuration, follow } from './widgets.js';
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
      const onclick = follow(() => context.navigate(target));
      const element = target ? h('a', { href: '?', onclick }, ...inside) : h('div', {}, ...inside);
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
    for (const name of ['running', 'succeeded']) this.#set(name, words.number(total[name]), '');
    const share = ended > 0 ? texts.failedShare(format.share(total.failed / ended)) : '';
    this.#set('failed', words.number(total.failed), share);
    for (const name of ['wait', 'run']) {
      const value = total[name];
      this.#set(name, `${texts.p95} ${exactDuration(value?.p95)}`, value ? texts.median(exactDuration(value.p50)) : '');
    }
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

  /** Set the links to the current period. */
  readdress() {
    for (const { element, target } of Object.values(this.#cards)) {
      if (target) element.href = this.#context.address(target);
    }
  }

  #set(name, value, more) {
    setText(this.#cards[name].value, value);
    setText(this.#cards[name].more, more);
  }
}
