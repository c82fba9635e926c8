/** Statistics: charts, and a table of the kinds. */

import { bdi, h, setText } from '../dom.js';
import * as format from '../format.js';
import { BarChart, LineChart, table } from './charts.js';
import { places } from './series.js';
import { words } from './strings.js';
import { exactDuration } from './widgets.js';

const texts = words.stats;

export class Figures {
  #throughput = new BarChart(texts.throughput);
  #wait = new LineChart(texts.wait, 'wait');
  #run = new LineChart(texts.run, 'run');
  #kinds = h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': texts.kinds });
  #exact = h('p', { class: 'muted' });

  element = h(
    'div',
    { class: 'statistics' },
    this.#throughput.element,
    this.#wait.element,
    this.#run.element,
    h('section', { class: 'by-kind' }, h('h2', {}, texts.kinds), this.#kinds, this.#exact),
  );

  /** @param {object} stats of the server */
  show(stats) {
    const { total, bucketMs, durationsBucketMs, since, until } = stats;
    const ended = total.succeeded + total.retried + total.failed > 0;
    const sums = ended ? texts.throughputSum(total, format.duration(bucketMs)) : texts.empty;
    this.#throughput.show(sums, places(stats, stats.buckets));
    // Percentiles may have longer buckets, if shorter ones were not kept.
    const first = Math.floor(Date.parse(since) / durationsBucketMs) * durationsBucketMs;
    const span = { since: new Date(first).toISOString(), until, bucketMs: durationsBucketMs };
    const measured = places(span, stats.durations);
    for (const [chart, part] of [[this.#wait, 'wait'], [this.#run, 'run']]) {
      const values = total[part] && mapValues(total[part], exactDuration);
      chart.show(values ? texts.latencySum(chart.title, values) : texts.nothing(chart.title), measured);
    }
    const { columns } = texts;
    const rows = stats.kinds.map((kind) => row(bdi(kind.kind), kind));
    if (rows.length > 1) rows.push(row(texts.all, total));
    const headings = Object.values(columns);
    this.#kinds.replaceChildren(rows.length > 0 ? table(headings, rows) : h('p', { class: 'muted' }, texts.empty));
    setText(this.#exact, `${stats.exact ? texts.exact : texts.estimated} ${texts.zone}`);
  }
}

function row(name, stats) {
  const columns = ['created', 'succeeded', 'retried', 'failed', 'running', 'waiting'];
  const counts = columns.map((column) => words.number(stats[column]));
  return [name, ...counts, percentiles(stats.wait), percentiles(stats.run)];
}

const percentiles = (values) =>
  values ? ['p50', 'p95', 'p99'].map((name) => exactDuration(values[name])).join(' / ') : exactDuration(null);

const mapValues = (values, change) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
