/** The figures above all views: the current state, and a summary of the period. */

import { h, setAttribute, setText, svg } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.js';
import { rateOf, scaleEnd } from './series.js';
import { exactDuration, follow } from './widgets.js';
import { words } from './strings.js';

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
    for (const name of ['running', 'waiting', 'throughput', 'succeeded', 'failed', 'wait', 'run']) {
      const value = h('span', { class: 'value' }, strings.none);
      const more = h('span', { class: 'muted' });
      const line = svg('path', {});
      const spark = svg('svg', { class: 'spark', viewBox: '0 0 100 20', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, line);
      const label = h('span', { class: 'label' }, texts[name]);
      const target = links[name] && { view: 'jobs', filters: { status: links[name] }, before: null };
      const isNow = name === 'running' || name === 'waiting';
      const inside = [label, !isNow && spark, h('span', { class: 'figure' }, value, ' ', more)];
      const onclick = follow(() => context.navigate(target));
      const element = target ? h('a', { href: '?', onclick }, ...inside) : h('div', {}, ...inside);
      this.#cards[name] = { element, value, more, line, target };
    }
    const items = Object.entries(this.#cards).map(([name, { element }]) => h('li', { class: `card ${name}` }, element));
    this.element = h('ul', { class: 'cards', role: 'list', 'aria-label': texts.label, 'aria-busy': 'true' }, ...items);
  }

  /** @param {object} stats of the server */
  show(stats) {
    const { total } = stats;
    this.#total = total;
    const ended = ({ succeeded, failed }) => succeeded + failed;
    this.#draw('throughput', stats, stats.bucketMs, stats.buckets, ended);
    for (const name of ['succeeded', 'failed']) this.#draw(name, stats, stats.bucketMs, stats.buckets, (at) => at[name]);
    for (const name of ['wait', 'run']) {
      this.#draw(name, stats, stats.durationsBucketMs, stats.durations, (at) => at[name]?.p95);
    }
    this.element.removeAttribute('aria-busy');
    const all = ended(total);
    const [rate, unit] = rateOf(all, Date.parse(stats.until) - Date.parse(stats.since));
    this.#set('throughput', texts.rate(rate), `/ ${strings.units[unit]}`);
    for (const name of ['running', 'succeeded']) this.#set(name, words.number(total[name]), '');
    const share = all > 0 ? texts.failedShare(format.share(total.failed / all)) : '';
    this.#set('failed', words.number(total.failed), share);
    for (const name of ['wait', 'run']) {
      const value = total[name];
      this.#set(name, exactDuration(value?.p95), value ? texts.median(exactDuration(value.p50)) : '');
    }
    setAttribute(this.element, 'data-failed', total.failed > 0 && '');
    this.tick();
  }

  tick() {
    if (!this.#total) return;
    const { waiting, waitingSince, delayed } = this.#total;
    const oldest = waitingSince && format.took(this.#context.now() - Date.parse(waitingSince));
    const more = [oldest && texts.oldest(oldest), delayed > 0 && texts.delayed(delayed)].filter(Boolean);
    this.#set('waiting', words.number(waiting), more.join(', '));
  }

  /** The course of a figure over the period, without numbers: the statistics have them. */
  #draw(name, { since, until }, step, found, valueOf) {
    const [first, last] = [Date.parse(since), Date.parse(until)];
    const values = Array(Math.max(2, Math.ceil((last - first) / step))).fill(0);
    for (const one of found) values[Math.max(0, Math.floor((Date.parse(one.at) - first) / step))] = valueOf(one) ?? 0;
    const most = scaleEnd(values) || 1;
    const points = values.map((value, index) => `${(index * 100) / (values.length - 1)} ${19 - (18 * Math.min(value, most)) / most}`);
    this.#cards[name].line.setAttribute('d', `M${points.join('L')}`);
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
    // Where it is too long for its cell.
    setAttribute(this.#cards[name].more, 'title', more || null);
  }
}
