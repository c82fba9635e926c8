// What a page reads of a job's output is what the server has, whatever gets lost, doubled, reordered or late.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { JobOutput } from '../../../web/js/feed/output.js';
import { jobsOf } from '../../../web/js/feed/iterators.js';
import { change, feed, handlers, hubs, live, page, pass, requests, server, signedIn } from './bench.mjs';
import { deferred, settled } from './fakes.mjs';
import { job, jwt } from './jobs.mjs';

const chunk = (seq, fields = {}) =>
  ({ seq, topic: 'log', text: `${seq};`, skipped: 0, emittedAt: '2026-06-01T00:00:00Z', ...fields });
const chunks = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => chunk(from + index));
const frame = (after, last) => ({ id: 'a', after, last, chunks: chunks(after + 1, last) });
const hint = (after, last) => ({ id: 'a', after, last, chunks: [] });
const texts = (output, from = 0) => {
  const found = [];
  for (let next = output.next(from, null); next; next = output.next(next.seq, null)) found.push(next.text);
  return found.join('');
};

describe('an output', () => {
  it('takes a push once, in order', () => {
    const output = new JobOutput();
    assert.equal(output.push(frame(0, 2)), true);
    assert.equal(output.push(frame(0, 2)), false);
    assert.equal(output.push(frame(1, 3)), true);
    assert.equal(texts(output), '1;2;3;');
    assert.deepEqual([output.last, output.isBehind], [3, false]);
  });

  it('keeps what comes early for what is missing before it', () => {
    const output = new JobOutput();
    assert.equal(output.push(frame(2, 3)), false);
    assert.equal(output.isBehind, true);
    assert.equal(output.push(frame(0, 2)), true);
    assert.deepEqual([texts(output), output.isBehind], ['1;2;3;', false]);
  });

  it('is behind after a hint, until a read', () => {
    const output = new JobOutput();
    output.push(hint(0, 2));
    assert.equal(output.isBehind, true);
    output.read({ chunks: chunks(1, 2), after: 2, more: false, omitted: false }, output.mark());
    assert.deepEqual([texts(output), output.isBehind], ['1;2;', false]);
  });

  it('is not behind what the server has deleted, but what it told of during a read', () => {
    const output = new JobOutput();
    output.push(hint(0, 9));
    const empty = { chunks: [], after: 0, more: false, omitted: false };
    const mark = output.mark();
    output.push(hint(9, 10));
    output.read(empty, mark);
    assert.equal(output.isBehind, true);
    output.read(empty, output.mark());
    assert.equal(output.isBehind, false);
  });

  it('keeps so much, and knows up to where chunks are missing', () => {
    const output = new JobOutput(5 * 66);
    output.push(frame(0, 9));
    assert.deepEqual([texts(output), output.gap, output.last], ['5;6;7;8;9;', 4, 9]);
    const other = new JobOutput();
    other.read({ chunks: chunks(4, 5), after: 5, more: false, omitted: true }, other.mark());
    assert.deepEqual([texts(other), other.gap], ['4;5;', 3]);
  });

  it('ignores what is not a push', () => {
    const output = new JobOutput();
    for (const bad of [null, {}, { ...hint(0, 1), chunks: null }, { ...frame(0, 1), last: '1' }]) output.push(bad);
    assert.deepEqual([output.last, output.isBehind], [0, false]);
  });
});

/** The end of a job's stream on the server. */
class Stream {
  chunks = [];
  reads = 0;
  inFlight = 0;
  mostInFlight = 0;
  constructor(most = Infinity) {
    this.most = most;
  }

  emit(count = 1, fields) {
    const after = this.chunks.at(-1)?.seq ?? 0;
    for (let seq = after + 1; seq <= after + count; seq += 1) this.chunks.push(chunk(seq, fields));
    this.chunks = this.chunks.slice(-this.most);
    return { id: 'a', after, last: after + count, chunks: this.chunks.filter(({ seq }) => seq > after) };
  }

  page(after, limit = 7) {
    const following = this.chunks.filter(({ seq }) => seq > after);
    const part = following.slice(0, limit);
    const last = this.chunks.at(-1)?.seq ?? 0;
    return {
      chunks: part, after: part.at(-1)?.seq ?? last, more: following.length > limit,
      omitted: (this.chunks[0]?.seq ?? last + 1) > after + 1,
    };
  }

  get text() {
    return this.chunks.map(({ text }) => text).join('');
  }
}

/** Have the server answer for job `a` with this stream. @param {(page: object) => Promise<object>} [late] */
function serve(stream, late = async (body) => ({ body })) {
  server.answers['GET /api/jobs/a/stream'] = async (url) => {
    stream.reads += 1;
    stream.inFlight += 1;
    stream.mostInFlight = Math.max(stream.mostInFlight, stream.inFlight);
    const result = await late(stream.page(Number(url.searchParams.get('after'))));
    stream.inFlight -= 1;
    return result;
  };
}

function read(topic = null, options = {}) {
  const reading = { text: '', seqs: [], omitted: 0, isDone: false, error: null };
  reading.iterator = jobsOf(feed).stream('a', topic, options);
  reading.finished = (async () => {
    try {
      for await (const { text, seq, omitted } of reading.iterator) {
        reading.text += text;
        reading.seqs.push(seq);
        reading.omitted += omitted;
      }
      reading.isDone = true;
    } catch (error) {
      reading.error = error;
    }
  })();
  return reading;
}

const running = (version = 1) => job('a', { status: 'running', version });
const over = (version = 9) => job('a', { status: 'succeeded', version, finishedAt: '2026-06-01T12:00:00Z' });

/** A generator of the same numbers for the same seed. */
function random(seed) {
  let state = seed + 1;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

describe('reading an output', () => {
  it('ends at the end of the job, with all of it', async () => {
    const stream = new Stream();
    stream.emit(20);
    serve(stream);
    change(running());
    await signedIn();
    await live();
    const reading = read();
    await pass(1000, 10);
    assert.deepEqual([reading.text, reading.isDone], [stream.text, false]);
    handlers.chunks(stream.emit(2));
    await settled();
    assert.equal(reading.text, stream.text);
    stream.emit(3);
    handlers.job(over());
    await pass(100, 10);
    assert.deepEqual([reading.text, reading.isDone], [stream.text, true]);
  });

  it('asks the server nothing while pushes bring all of it', async () => {
    const stream = new Stream();
    serve(stream);
    change(running());
    await signedIn();
    await live();
    const reading = read();
    await pass(1000, 10);
    const before = stream.reads;
    for (let index = 0; index < 100; index += 1) {
      handlers.chunks(stream.emit(3));
      await pass(100, 100);
    }
    assert.equal(reading.text, stream.text);
    assert.equal(stream.reads, before);
  });

  it('polls without a connection while the job runs, and not while it waits', async () => {
    const stream = new Stream();
    serve(stream);
    change(running());
    await signedIn();
    const reading = read();
    await pass(100, 10);
    stream.emit(2);
    await pass(1600, 100);
    assert.equal(reading.text, stream.text);
    const before = stream.reads;
    await pass(6000, 100);
    assert.ok(stream.reads - before >= 3 && stream.reads - before <= 5, String(stream.reads - before));
    change(job('a', { status: 'retrying', version: 2 }));
    await pass(2000, 100);
    const waiting = stream.reads;
    await pass(6000, 100);
    assert.ok(stream.reads - waiting <= 1);
  });

  it('stops when nobody reads, and remembers nothing', async () => {
    const stream = new Stream();
    serve(stream);
    change(running());
    await signedIn();
    const stopper = new AbortController();
    const [one, two] = [read(null, { signal: stopper.signal }), read()];
    stream.emit(3);
    await pass(3000, 100);
    assert.equal(stream.mostInFlight, 1);
    stopper.abort();
    await two.iterator.return();
    await Promise.all([one.finished, two.finished]);
    assert.deepEqual([one.text, two.text], [stream.text, stream.text]);
    const before = stream.reads;
    await pass(10_000, 500);
    assert.equal(stream.reads, before);
    const again = read();
    await pass(100, 10);
    assert.equal(again.text, stream.text);
  });

  it('of one topic leaves out the others', async () => {
    const stream = new Stream();
    stream.emit(2);
    stream.emit(2, { topic: 'story', text: 'word ' });
    serve(stream);
    change(over());
    await signedIn();
    const [log, story] = [read('log'), read('story')];
    await Promise.all([pass(500, 10), log.finished, story.finished]);
    assert.deepEqual([log.text, story.text], ['1;2;', 'word word ']);
  });

  it('says where chunks are gone', async () => {
    const stream = new Stream(5);
    stream.emit(9);
    serve(stream);
    change(over());
    await signedIn();
    const reading = read();
    await Promise.all([pass(500, 10), reading.finished]);
    assert.deepEqual([reading.seqs, reading.omitted], [[5, 6, 7, 8, 9], 1]);
  });

  it('fails if there is no such job, and waits while there is no server', async () => {
    const stream = new Stream();
    stream.emit(2);
    serve(stream);
    change(running());
    await signedIn();
    server.answers['GET /api/jobs/a/stream'] = { status: 503 };
    const patient = read();
    await pass(2000, 100);
    assert.equal(patient.error, null);
    serve(stream);
    await pass(10_000, 100);
    assert.equal(patient.text, stream.text);
    server.answers['GET /api/jobs/b/stream'] = server.answers['GET /api/jobs/b'] = { status: 404 };
    const wrong = jobsOf(feed).stream('b');
    await Promise.all([pass(100, 10), assert.rejects(wrong.next(), { name: 'ApiError', status: 404 })]);
    assert.deepEqual(await wrong.next(), { done: true, value: undefined });
  });

  it('of a job beyond the list knows its end all the same', async () => {
    const stream = new Stream();
    stream.emit(2);
    serve(stream);
    server.answers['GET /api/jobs/a'] = () => ({ body: running() });
    await signedIn();
    const reading = read();
    await pass(100, 10);
    assert.deepEqual([reading.text, reading.isDone], [stream.text, false]);
    server.answers['GET /api/jobs/a'] = () => ({ body: over() });
    stream.emit(2);
    await pass(3000, 100);
    assert.deepEqual([reading.text, reading.isDone], [stream.text, true]);
  });

  it('waits for a sign-in, and fails when the user changes, without a late answer of the one before', async () => {
    const stream = new Stream();
    stream.emit(2);
    const hold = deferred();
    serve(stream, async (body) => (await hold.promise, { body }));
    change(running());
    const reading = read();
    await pass(2000, 100);
    assert.equal(stream.reads, 0);
    await signedIn(jwt('ann'));
    await pass(100, 10);
    assert.equal(stream.reads, 1);
    feed.signIn(async () => jwt('bob'));
    await pass(100, 10);
    hold.resolve();
    await reading.finished;
    assert.deepEqual([reading.text, reading.error.status], ['', 401]);
    const other = read();
    await settled();
    feed.signIn(null);
    await other.finished;
    assert.equal(other.error.status, 401);
    const waiting = read();
    await pass(2000, 100);
    assert.deepEqual([waiting.isDone, waiting.error], [false, null]);
    await waiting.iterator.return();
  });

  it('ends with the text of the server, whatever happens on the way', async () => {
    for (let seed = 0; seed < 60; seed += 1) await anyWay(random(seed), seed);
  });
});

async function anyWay(choose, seed) {
  const stream = new Stream();
  const waiting = [];
  serve(stream, async (body) => {
    const way = choose(4);
    if (way === 0) {
      const hold = deferred();
      waiting.push(hold);
      await hold.promise;
    }
    return way === 1 ? { status: 503 } : { body };
  });
  change(running(1 + 100 * seed));
  await signedIn(`token ${seed}`);
  await live();
  const readings = [read(), read()];
  const held = [];
  for (let step = 0; step < 60; step += 1) {
    const way = choose(12);
    const made = way < 7 ? stream.emit(1 + choose(4)) : null;
    if (way < 2) handlers.chunks(made);
    else if (way === 2) held.push(made);
    else if (way === 3) for (let time = 0; time < 3; time += 1) handlers.chunks(made);
    else if (way === 4) handlers.chunks({ ...made, chunks: [] });
    else if (way === 5) held.push(made, made);
    // With `way` 6 it is lost.
    else if (way === 7) for (const frame of held.splice(0).reverse()) handlers.chunks(frame);
    else if (way === 8) waiting.splice(0).forEach(({ resolve }) => resolve());
    else if (way === 9) hubs.at(-1).close();
    else if (way === 10) hubs.at(-1).succeed();
    else readings.push(read());
    await pass(choose(3) * 400, 200);
  }
  stream.emit(2);
  change(over(2 + 100 * seed));
  for (let round = 0; round < 8; round += 1) {
    waiting.splice(0).forEach(({ resolve }) => resolve());
    page.tell('visible');
    await pass(10_000, 1000);
  }
  for (const reading of readings) {
    assert.deepEqual([reading.text, reading.error, reading.isDone], [stream.text, null, true], `seed ${seed}`);
    assert.deepEqual(reading.seqs, stream.chunks.map(({ seq }) => seq), `seed ${seed}`);
  }
  assert.equal(stream.mostInFlight, 1, `seed ${seed}`);
}

describe('watching', () => {
  it('a job brings each newer state up to its end', async () => {
    change(job('a'));
    await signedIn();
    await live();
    const seen = [];
    const loop = (async () => {
      for await (const { status, version } of jobsOf(feed).watch('a')) seen.push([status, version]);
    })();
    await pass(100, 10);
    handlers.job(running(2));
    await settled();
    handlers.job(running(2));
    handlers.job(over(3));
    await loop;
    assert.deepEqual(seen, [['pending', 1], ['running', 2], ['succeeded', 3]]);
  });

  it('the list brings it when it has changed', async () => {
    change(job('a'));
    await signedIn();
    const lists = jobsOf(feed).list();
    assert.deepEqual((await lists.next()).value.map(({ version }) => version), [1]);
    const next = lists.next();
    await live();
    handlers.job(running(2));
    assert.deepEqual((await next).value.map(({ version }) => version), [2]);
    const last = lists.next();
    await lists.return();
    assert.deepEqual(await last, { done: true, value: undefined });
    assert.equal(requests.filter(({ path }) => path === '/api/jobs/a').length, 0);
  });
});
