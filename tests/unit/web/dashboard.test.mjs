// The dashboard's logic that needs no page.

import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';

import { AdminApi } from '../../../web/js/dashboard/admin-api.js';
import { START, filterQuery, filtersOf, readAddress, writeAddress } from '../../../web/js/dashboard/url-state.js';
import { matching, those } from '../../../web/js/dashboard/bulk-plans.js';
import { csvRows } from '../../../web/js/dashboard/download.js';
import { Refresher } from '../../../web/js/dashboard/refresher.js';
import { countTicks, labelled, places, rateOf, roundTimes, runs, scaleEnd, timeTicks } from '../../../web/js/dashboard/series.js';
import { words } from '../../../web/js/dashboard/strings.en.js';
import { fromInput, toInput } from '../../../web/js/dashboard/time-format.js';
import { deferred, settled } from './fakes.mjs';

describe('the address', () => {
  it('leaves out what the server could not read, and takes a bare plus for one', () => {
    const day = 'from=2026-02-30&to=9999-12-31';
    const tooLong = [`id=${'a'.repeat(36)}&before=1.ab`, `before=${'9'.repeat(20)}.0`];
    for (const query of [day, 'from=0000-01-01&id=-', ...tooLong]) {
      const { state, ignored } = readAddress(`?${query}`);
      assert.deepEqual([state.filters, state.before, ignored.length], [{}, null, query.split('&').length], query);
    }
    const { from } = readAddress('?from=2026-06-01T10:00:00+02:00').state.filters;
    assert.equal(from, '2026-06-01T08:00:00.000Z');
  });

  it('comes back as it was written', () => {
    const filters = {
      status: ['running', 'failed'],
      kind: 'packer',
      user: 'a|b&c=%_"',
      queue: 'q',
      error: 'E',
      text: '<b> & ü',
      id: '0197-ab',
      from: '2026-03-01T00:00:00.000Z',
      to: '2026-03-02T00:00:00.000Z',
      attemptsOver: 0,
    };
    const before = `1767225600000000.${'0197ab'.padEnd(32, '0')}`;
    const state = { view: 'failures', window: '7d', filters, before, job: '0197ab' };
    const { state: read, ignored } = readAddress(writeAddress('', state));
    assert.deepEqual(read, state);
    assert.deepEqual(ignored, []);
  });

  it('leaves alone what belongs to others, and says nothing about the usual', () => {
    assert.equal(writeAddress('?lang=de&status=failed', START), '?lang=de');
    assert.equal(writeAddress('?status=failed', START), '');
  });

  it('names what is not valid, and takes the rest', () => {
    const bad = 'status=failed&status=bad&view=x&window=1y&before=x&job=%20&id=zz&from=yesterday';
    const { state, ignored } = readAddress(`?${bad}&attemptsOver=1e3&to=2026-02-30T99:00&kind=&user=ann`);
    assert.deepEqual(state, { ...START, filters: { status: ['failed'], user: 'ann' } });
    const named = ['status=bad', 'id=zz', 'from=yesterday', 'to=2026-02-30T99:00', 'attemptsOver=1e3'];
    assert.deepEqual(ignored, [...named, 'view=x', 'window=1y', 'before=x', 'job= ']);
  });

  it('takes days in UTC, the last one included, and no empty span', () => {
    const { from, to } = readAddress('?from=2026-03-01&to=2026-03-02').state.filters;
    assert.deepEqual([from, to], ['2026-03-01T00:00:00.000Z', '2026-03-03T00:00:00.000Z']);
    const { state, ignored } = readAddress('?from=2026-03-02&to=2026-03-01T12:00:00%2B01:00');
    assert.deepEqual(state.filters, { from: '2026-03-02T00:00:00.000Z' });
    assert.deepEqual(ignored, ['to=2026-03-01T12:00:00+01:00']);
  });

  it('is made from a form, where empty means none', () => {
    const values = { status: [], kind: '', user: 'ann', attemptsOver: '2', from: '', to: '', text: '', id: 'x!' };
    const { state, ignored } = filtersOf(values);
    assert.deepEqual(state.filters, { user: 'ann', attemptsOver: 2 });
    assert.deepEqual(ignored, ['id=x!']);
    assert.equal(filterQuery(state.filters).toString(), 'user=ann&attemptsOver=2');
  });

  it('shows a moment in an input and takes it back', () => {
    assert.equal(fromInput(toInput('2026-03-01T08:15:00.000Z')), '2026-03-01T08:15:00.000Z');
    assert.deepEqual([toInput(undefined), fromInput(''), fromInput('x')], ['', '', '']);
  });
});

describe('the refresher', () => {
  const hour = () => 3_600_000;

  it('reads at once, then not more often than it may, however often it is asked', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] });
    let now = 0;
    context.mock.method(performance, 'now', () => now);
    const pass = async (milliseconds) => {
      for (let left = milliseconds; left > 0; left -= 10) {
        now += 10;
        context.mock.timers.tick(10);
        await settled();
      }
    };
    let reads = 0;
    const refresher = new Refresher(async () => (reads += 1), { atLeast: 500, every: hour });
    await refresher.start();
    assert.equal(reads, 1);
    for (let index = 0; index < 100; index += 1) {
      refresher.ask();
      await pass(20);
    }
    assert.equal(reads, 5);
    await pass(10_000);
    assert.ok(reads <= 6);
    refresher.stop();
    refresher.ask();
    await pass(10_000);
    assert.ok(reads <= 6);
  });

  it('never runs twice at once, and runs once more when asked meanwhile', async () => {
    let reads = 0;
    let open = deferred();
    const refresher = new Refresher(async () => {
      reads += 1;
      await open.promise;
    }, { atLeast: 0, every: hour });
    refresher.start();
    refresher.now();
    refresher.ask();
    assert.equal(reads, 1);
    open.resolve();
    open = { promise: Promise.resolve() };
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(reads, 2);
    refresher.stop();
  });

  it('goes on after a read that failed in a way nobody thought of', async () => {
    const read = mock.fn(() => Promise.reject(new TypeError('an answer of odd shape')));
    const refresher = new Refresher(read, { atLeast: 0, every: hour });
    await assert.rejects(refresher.start(), TypeError);
    await assert.rejects(refresher.now(), TypeError);
    assert.equal(read.mock.callCount(), 2);
    refresher.stop();
  });
});

describe('series', () => {
  const HOUR = 3_600_000;

  it('have a place for every hour of a day on which clocks change', () => {
    for (const day of ['2026-03-29', '2026-10-25']) {
      const since = `${day}T00:00:00+00:00`;
      const until = new Date(Date.parse(since) + 23.5 * HOUR).toISOString();
      const buckets = [{ at: `${day}T01:00:00Z`, n: 1 }, { at: `${day}T02:00:00+00:00`, n: 2 }];
      const found = places({ since, until, bucketMs: HOUR }, buckets);
      assert.equal(found.length, 24);
      assert.equal(new Set(found.map(({ at }) => at)).size, 24);
      assert.deepEqual(found.map(({ value }) => value?.n).slice(0, 4), [undefined, 1, 2, undefined]);
    }
  });

  it('break where nothing was measured, and omit what is not a duration', () => {
    assert.deepEqual(runs([1, 2, null, 3, -1, NaN, Infinity, 0]), [[[0, 1], [1, 2]], [[3, 3]], [[7, 0]]]);
    assert.deepEqual(runs([null, null]), []);
  });

  it('have round scales that reach above everything', () => {
    for (const most of [0, 1, 3, 7, 10, 99, 100, 101, 12_345, 9_999_999]) {
      const ticks = countTicks(most);
      assert.ok(ticks.at(-1) >= most && ticks.length <= 7 && ticks.every(Number.isInteger), `${most}: ${ticks}`);
    }
    for (const most of [0, 0.4, 3, 950, 61_000, 4 * HOUR, 900 * HOUR, 10_000 * HOUR]) {
      const ticks = timeTicks(most);
      assert.ok(ticks.at(-1) >= most && ticks.length <= 7, `${most}: ${ticks}`);
    }
    assert.deepEqual(timeTicks(-5), [0, 1000]);
    assert.deepEqual(countTicks(NaN), [0, 1]);
  });

  it('are not flattened by a spike, but show few values, and steady growth, as they are', () => {
    const usual = Array.from({ length: 48 }, (_, index) => 20 + (index % 7));
    assert.equal(scaleEnd([...usual, 640]), 52);
    assert.equal(scaleEnd([...usual, 640, 0, 0, 0, 900]), 52);
    assert.equal(scaleEnd([...usual, 80]), 80);
    assert.equal(scaleEnd([1, 2, 640]), 640);
    assert.equal(scaleEnd(Array.from({ length: 48 }, (_, index) => index * 100)), 4700);
    assert.equal(scaleEnd([0, 0]), 0);
  });

  it('have a rate in the shortest unit in which there is one at least', () => {
    const day = 86_400_000;
    assert.deepEqual(rateOf(1241, day), [1241 / 24, 'hour']);
    assert.deepEqual(rateOf(1440, day), [1, 'minute']);
    assert.deepEqual(rateOf(5, day), [5, 'day']);
    assert.deepEqual(rateOf(3, 30 * day), [0.1, 'day']);
    assert.deepEqual([rateOf(0, day), rateOf(5, 0), rateOf(5, -1)].map(([rate]) => rate), [0, 0, 0]);
  });

  it('label no more places than there is room for', () => {
    assert.deepEqual(labelled(48, 480, 80), [0, 8, 16, 24, 32, 40]);
    assert.deepEqual(labelled(1, 10, 80), [0]);
  });

  it('label round times of day', () => {
    const all = Array.from({ length: 49 }, (_, index) => ({ at: Date.parse('2026-06-01T09:30:00Z') + index * 1_800_000 }));
    const found = roundTimes(all, 12).map((index) => new Date(all[index].at));
    assert.equal(found.length, 12);
    assert.deepEqual(found.filter((time) => time.getHours() % 2 || time.getMinutes()), []);
    assert.deepEqual(roundTimes(all.slice(0, 1), 5).length, 1);
  });
});

describe('bulk plans', () => {
  it('keep to the moment of the count, and go on where they were', async () => {
    const asked = [];
    const answers = [{ changed: 200, refused: {}, next: 'x' }, { changed: 1, refused: { why: 2 }, next: null }];
    const api = {
      count: async (filters, action) => ({ number: 203, exact: true, asOf: 'then', asked: [filters, action] }),
      bulk: async (...values) => {
        asked.push(values);
        if (asked.length === 2) throw new Error('away');
        return answers.shift();
      },
    };
    const filters = { text: 'x' };
    const plan = matching(api, 'retry', filters);
    const counted = { number: 203, exact: true, asOf: 'then', asked: [filters, 'retry'] };
    assert.deepEqual(await plan.count(), counted);
    assert.deepEqual(await plan.step(), { changed: 200, refused: {}, done: false });
    await assert.rejects(plan.step(), /away/);
    assert.deepEqual(await plan.step(), { changed: 1, refused: { why: 2 }, done: true });
    const second = ['retry', filters, 'then', 'x'];
    assert.deepEqual(asked, [['retry', filters, 'then', null], second, second]);
  });

  it('say why a selected job is skipped, and stop at what is not a response', async () => {
    const answers = [
      { changed: 1, refused: {} },
      { changed: 0, refused: {} },
      { changed: 0, refused: {} },
      { changed: 0, refused: { 'It has ended.': 1 } },
      null,
      { changed: 1, refused: {} },
    ];
    const asked = [];
    const api = {
      count: async () => ({ number: 1, exact: true, asOf: 'then' }),
      jobs: async ({ id }) => ({ items: id === 'b' ? [{ id, status: 'succeeded' }] : [] }),
      bulk: async (action, filters, asOf) => {
        asked.push([action, filters.id, asOf]);
        return answers.shift() ?? assert.fail('away');
      },
    };
    const plan = those(api, 'cancel', ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id })));
    assert.deepEqual(await plan.count(), { number: 5, exact: true });
    assert.deepEqual(await plan.step(), { changed: 1, refused: {}, done: false });
    assert.deepEqual((await plan.step()).refused, { [words.bulk.moved('Succeeded')]: 1 });
    assert.deepEqual((await plan.step()).refused, { 'Job not found': 1 });
    assert.deepEqual((await plan.step()).refused, { 'It has ended.': 1 });
    await assert.rejects(plan.step(), /away/);
    assert.deepEqual(await plan.step(), { changed: 1, refused: {}, done: true });
    // Each time the moment of the count: what ends after it is not done again.
    assert.deepEqual(asked, ['a', 'b', 'c', 'd', 'e', 'e'].map((id) => ['cancel', id, 'then']));
  });
});

describe('CSV files', () => {
  it('that break off half way are a failed request', async () => {
    const answer = { blob: () => Promise.reject(new TypeError('network error')) };
    await assert.rejects(new AdminApi({ file: async () => answer }).csv({}), { name: 'ApiError', status: 0 });
  });

  it('keep the name and the bytes that the server gave them', async () => {
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x61]);
    for (const [disposition, name] of [['attachment; filename="jobs-x.csv"', 'jobs-x.csv'], [null, 'download']]) {
      const headers = { 'content-type': 'text/csv', ...(disposition && { 'content-disposition': disposition }) };
      const file = await new AdminApi({ file: async () => new Response(bytes, { headers }) }).csv({});
      assert.deepEqual([file.name, file.type, new Uint8Array(await file.arrayBuffer())], [name, 'text/csv', bytes]);
    }
  });

  it('are counted by rows, not by lines', () => {
    assert.equal(csvRows('a,b\r\n1,2\r\n"x\r\n""y""\n",3\r\n'), 2);
    assert.equal(csvRows('a,b\r\n'), 0);
  });
});
