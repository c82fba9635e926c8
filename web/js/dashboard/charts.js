/** Own charts: stacked bars and lines as SVG, each with its numbers as a table. No style attributes, no canvas. */

import { h, setAttribute, setText, svg } from '../dom.js';
import * as format from '../format.js';
import { button } from './widgets.js';
import { countTicks, isDuration, labelled, roundTimes, runs, scaleEnd, timeTicks } from './series.js';
import { words } from './strings.js';
import { dayOf, minuteOf, utcDateOf, utcDayOf } from './time-format.js';

const HEIGHT = 200;
const EDGE = { top: 16, end: 8, bottom: 24, start: 76 };
const LABEL_EVERY = 84;
const NARROWEST = 240;
const DAY = 86_400_000;

let patterns = 0;

/** A figure that is redrawn when its width or its numbers change. */
class Chart {
  #caption = h('figcaption', {});
  #summary = h('p', { class: 'muted' });
  /** With the pointer, or with the arrow keys, it shows the values of a bucket. */
  #plot = h('div', { class: 'plot', tabindex: '0', role: 'group', 'aria-description': words.stats.keys });
  #readout = h('p', { class: 'readout', role: 'status' });
  #cursor = svg('rect', { class: 'cursor', y: 0, hidden: true });
  #at = null;
  #table = h('div', { class: 'scroll', role: 'region', tabindex: '0', hidden: true });
  #toggle = button('quiet', '', () => this.#showTable(this.#table.hidden), {
    'aria-expanded': 'false',
  });
  #legend = h('ul', { class: 'legend', role: 'list' });
  #width = 0;
  /** Whether the buckets are days, which begin in UTC. */
  #daily = false;

  constructor(title, series) {
    this.series = series;
    this.title = title;
    setText(this.#caption, title);
    this.#name(words.stats.asTable);
    for (const element of [this.#table, this.#plot]) element.setAttribute('aria-label', title);
    this.#legend.append(...series.map((name) => h('li', { class: `key ${name}` }, words.stats.series[name])));
    const head = h('div', { class: 'figure-head' }, this.#caption, this.#toggle);
    this.element = h('figure', {}, head, this.#summary, this.#plot, this.#readout, this.#legend, this.#table);
    new ResizeObserver(() => this.#resized()).observe(this.#plot);
    this.#plot.addEventListener('pointermove', ({ clientX }) => this.#read(this.#indexAt(clientX)));
    this.#plot.addEventListener('keydown', (event) => this.#onKey(event));
    for (const event of ['pointerleave', 'blur']) this.#plot.addEventListener(event, () => this.#read(null));
  }

  /** @param {string} summary in words @param {{at: number, value: object|null}[]} places */
  show(summary, places) {
    this.places = places;
    this.#daily = places.every(({ at }) => at % DAY === 0);
    this.summary = summary;
    setText(this.#summary, summary);
    this.#draw();
    if (!this.#table.hidden) this.#fillTable();
  }

  #resized() {
    const width = Math.max(NARROWEST, Math.floor(this.#plot.clientWidth));
    if (width === this.#width || this.#plot.hidden) return;
    this.#width = width;
    if (this.places) this.#draw();
  }

  #draw() {
    if (!this.#width) return;
    const size = { width: this.#width - EDGE.start - EDGE.end, height: HEIGHT - EDGE.top - EDGE.bottom };
    const viewBox = `0 0 ${this.#width} ${HEIGHT}`;
    const attributes = { viewBox, height: HEIGHT, role: 'img', 'aria-label': this.summary };
    const ticks = this.ticks();
    const top = ticks.at(-1);
    const y = (value) => size.height * (1 - Math.min(value, top) / top);
    const step = size.width / this.places.length;
    const inside = svg('g', { transform: `translate(${EDGE.start} ${EDGE.top})` });
    for (const tick of ticks) {
      inside.append(
        svg('line', { class: 'grid', x1: 0, x2: size.width, y1: y(tick), y2: y(tick) }),
        svg('text', { x: -8, y: y(tick) + 4, 'text-anchor': 'end' }, this.tickText(tick)),
      );
    }
    const midnight = (at) => new Date(at).getHours() + new Date(at).getMinutes() === 0;
    const name = (at) => (this.#daily ? utcDayOf : midnight(at) ? dayOf : minuteOf)(at);
    const most = Math.max(1, Math.floor(size.width / LABEL_EVERY));
    const indexes = this.#daily ? labelled(this.places.length, size.width, LABEL_EVERY) : roundTimes(this.places, most);
    for (const index of indexes) {
      const x = (index + 0.5) * step;
      if (size.width - x < 24 && indexes.length > 1) continue;
      inside.append(svg('text', { x, y: size.height + 17, 'text-anchor': 'middle' }, name(this.places[index].at)));
    }
    inside.append(...this.marks({ step, y, size }));
    // What is cut off says how far it would reach.
    let free = 0;
    this.places.forEach(({ value }, index) => {
      const x = (index + 0.5) * step;
      const most = value ? this.most(value) : 0;
      if (most <= top || x < free) return;
      free = x + LABEL_EVERY;
      const anchor = x > size.width - LABEL_EVERY / 2 ? 'end' : 'middle';
      inside.append(svg('text', { class: 'cut', x, y: -4, 'text-anchor': anchor }, `\u25b2 ${this.tickText(most)}`));
    });
    for (const [name, value] of Object.entries({ width: step, height: size.height })) setAttribute(this.#cursor, name, value);
    inside.append(this.#cursor);
    this.#plot.replaceChildren(svg('svg', attributes, inside));
    this.#read(this.#at);
  }

  #indexAt(clientX) {
    const { left, width } = this.#plot.getBoundingClientRect();
    const inside = (clientX - left - EDGE.start) / (width - EDGE.start - EDGE.end);
    return inside >= 0 && inside < 1 ? Math.floor(inside * this.places.length) : null;
  }

  #onKey(event) {
    const last = this.places.length - 1;
    const at = this.#at ?? last + 1;
    const next = { ArrowLeft: at - 1, ArrowRight: Math.min(at, last) + 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.#read(Math.max(0, Math.min(last, next)));
  }

  /** Show the values of a bucket; the table has them too. @param {number|null} index */
  #read(index) {
    const place = this.places?.[index ?? -1];
    this.#at = place ? index : null;
    setAttribute(this.#cursor, 'hidden', !place && '');
    if (!place) return setText(this.#readout, '');
    setAttribute(this.#cursor, 'x', index * Number(this.#cursor.getAttribute('width')));
    const cells = place.value ? this.cells(place.value).map((cell, column) => `${this.headings()[column]} ${cell}`) : [words.stats.gap];
    setText(this.#readout, [this.#momentOf(place.at), ...cells].join(' · '));
  }

  #name(text) {
    setText(this.#toggle, text);
    this.#toggle.setAttribute('aria-label', `${text}: ${this.title}`);
  }

  #showTable(shown) {
    this.#table.hidden = !shown;
    this.#plot.hidden = this.#readout.hidden = this.#legend.hidden = shown;
    this.#toggle.setAttribute('aria-expanded', String(shown));
    this.#name(shown ? words.stats.asChart : words.stats.asTable);
    if (shown) this.#fillTable();
    else this.#resized();
  }

  #momentOf(at) {
    return this.#daily ? utcDateOf(at) : format.moment(new Date(at).toISOString());
  }

  #fillTable() {
    const filled = this.places.filter(({ value }) => value);
    const rows = filled.map(({ at, value }) => [this.#momentOf(at), ...this.cells(value)]);
    this.#table.replaceChildren(table([words.stats.from, ...this.headings()], rows));
  }
}

/** How many attempts ended in each bucket, and how. */
export class BarChart extends Chart {
  #stripes = `qj-stripes-${(patterns += 1)}`;

  constructor(title) {
    super(title, ['succeeded', 'retried', 'failed']);
  }

  headings() {
    return [words.stats.created, ...this.series.map((name) => words.stats.series[name])];
  }

  cells(value) {
    return ['created', ...this.series].map((name) => words.number(value[name]));
  }

  ticks() {
    return countTicks(scaleEnd(this.places.map(({ value }) => (value ? this.most(value) : 0))));
  }

  most(value) {
    return sum(this.series.map((name) => value[name]));
  }

  tickText(tick) {
    return words.number(tick);
  }

  marks({ step, y, size }) {
    const width = Math.max(1, step - Math.min(3, step / 4));
    const stripes = svg(
      'pattern',
      { id: this.#stripes, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      svg('rect', { class: 'stripe-back', width: 5, height: 5 }),
      svg('rect', { class: 'stripe', width: 2.5, height: 5 }),
    );
    const bars = this.places.flatMap(({ value }, index) => {
      let below = 0;
      return this.series.filter((name) => value?.[name] > 0).map((name) => {
        const [from, to] = [y(below), y((below += value[name]))];
        const fill = name === 'retried' && `url(#${this.#stripes})`;
        const height = Math.min(size.height, Math.max(1, from - to));
        const x = index * step + (step - width) / 2;
        return svg('rect', { class: `mark ${name}`, x, y: to, width, height, fill });
      });
    });
    return [svg('defs', {}, stripes), ...bars];
  }
}

/** Three percentiles of a duration in each bucket, as lines with different dashes. */
export class LineChart extends Chart {
  #part;

  /** @param {string} title @param {'wait'|'run'} part */
  constructor(title, part) {
    super(title, ['p50', 'p95', 'p99']);
    this.#part = part;
  }

  headings() {
    return this.series.map((name) => words.stats.series[name]);
  }

  cells(value) {
    return this.series.map((name) => format.duration(value[this.#part]?.[name]));
  }

  ticks() {
    return timeTicks(scaleEnd(this.places.map(({ value }) => (value ? this.most(value) : 0))));
  }

  most(value) {
    return Math.max(0, ...this.series.map((name) => value[this.#part]?.[name]).filter(isDuration));
  }

  tickText(tick) {
    return format.duration(tick);
  }

  marks({ step, y }) {
    return this.series.flatMap((name) =>
      runs(this.places.map(({ value }) => value?.[this.#part]?.[name] ?? null)).map((run) => {
        const points = run.map(([index, value]) => `${round((index + 0.5) * step)} ${round(y(value))}`);
        // A single value is drawn as a dot: a line of one point would be invisible.
        const path = points.length > 1 ? `M${points.join('L')}` : `M${points[0]}h0.01`;
        return svg('path', { class: `line ${name}`, d: path });
      }));
  }
}

/** A plain table. The first cell of a row is its heading. @param {string[]} headings @param {(string|Node)[][]} rows */
export function table(headings, rows) {
  const head = h('thead', {}, h('tr', {}, ...headings.map((text) => h('th', { scope: 'col' }, text))));
  const body = rows.map(([name, ...cells]) =>
    h('tr', {}, h('th', { scope: 'row' }, name), ...cells.map((cell) => h('td', {}, cell))));
  return h('table', { class: 'numbers' }, head, h('tbody', {}, ...body));
}

const round = (value) => Math.round(value * 10) / 10;
const sum = (values) => values.reduce((total, value) => total + value, 0);
