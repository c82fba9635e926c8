// Pushes, snapshots and what a person does, together: the bell's data is right whatever gets lost.

import assert from 'node:assert/strict';
import { beforeEach, describe, it, mock } from 'node:test';

import {
  START, change, ended, feed, handlers, hubs, labels, live, page, pass, reads, requests, server, signedIn, unsubscribe,
} from './bench.mjs';
import { deferred, settled } from './fakes.mjs';
import { job } from './jobs.mjs';

describe('reading', () => {
  it('begins with the sign-in, and again once pushes arrive', async () => {
    change(job('a'));
    await signedIn();
    assert.deepEqual([feed.state, labels(), reads().length], ['connecting', ['a'], 1]);
    await live();
    assert.deepEqual([feed.state, reads().length], ['live', 2]);
    assert.equal(reads()[0].headers.authorization, 'Bearer token');
    assert.equal(reads()[1].headers['if-none-match'], '"2-0"', 'what has not changed costs a 304');
  });

  it('tells of no news in what was there before', async () => {
    change(job('a', { status: 'succeeded', finishedAt: '2026-06-01T11:00:00Z' }));
    await signedIn();
    await live();
    assert.deepEqual(ended(), []);
  });

  it('happens at least every five minutes while live', async () => {
    await signedIn();
    await live();
    await pass(299_000, 1000);
    assert.equal(reads().length, 2);
    change(job('lost push'));
    await pass(2000);
    assert.deepEqual(labels(), ['lost push']);
  });

  it('happens again when it was asked for during a read', async () => {
    await signedIn();
    await live();
    server.hold = deferred();
    feed.sync();
    feed.sync();
    feed.sync();
    await settled();
    change(job('later'));
    server.hold.resolve();
    server.hold = null;
    await pass(1000);
    assert.deepEqual([labels(), reads().length], [['later'], 4]);
  });

  it('happens when the page is shown, restored or online again', async () => {
    await signedIn();
    await live();
    page.tell('visible');
    await settled();
    page.tell('online');
    await settled();
    assert.equal(reads().length, 4);
  });

  it('goes on to older pages, and reads all of them from then on', async () => {
    const jobs = Array.from({ length: 120 }, (_, index) =>
      job(`j${index}`, { createdAt: new Date(START - index * 1000).toISOString() }));
    change(...jobs);
    await signedIn();
    assert.equal(labels().length, 50);
    await feed.loadMore();
    assert.equal(labels().length, 100);
    change(...jobs.toSpliced(70, 1));
    await feed.sync();
    assert.equal(feed.store.get('j70'), undefined, 'removed on the second page');
    assert.equal(labels().length, 100);
    change(job('new', { createdAt: new Date(START + 1000).toISOString() }), ...jobs);
    await feed.sync();
    const second = reads().at(-1);
    assert.deepEqual([second.url.searchParams.get('before'), second.headers['if-none-match']], ['j48', undefined]);
  });

  it('of older pages that fails says so, and is tried again without skipping one', async () => {
    const jobs = Array.from({ length: 120 }, (_, index) =>
      job(`j${index}`, { createdAt: new Date(START - index * 1000).toISOString() }));
    change(...jobs);
    await signedIn();
    server.status = 500;
    await assert.rejects(feed.loadMore(), { name: 'ApiError', status: 500 });
    server.status = 200;
    await feed.loadMore();
    assert.equal(labels().length, 100);
  });

  it('happens when jobs beyond the list are removed, as they count too', async () => {
    const jobs = Array.from({ length: 60 }, (_, index) =>
      job(`j${index}`, { createdAt: new Date(START - index * 1000).toISOString() }));
    change(...jobs);
    await signedIn();
    await live();
    change(...jobs.slice(0, 5));
    handlers.removed([{ id: 'j55', version: 2 }]);
    await settled();
    assert.deepEqual([labels().length, feed.store.more], [5, false]);
  });

  it('is whole once the clock of this machine was set, as only then it tells the time', async () => {
    await signedIn();
    await live();
    mock.timers.setTime(START + 7_200_000);
    feed.now();
    await settled();
    assert.equal(reads().length, 3);
    assert.equal(reads()[2].headers['if-none-match'], undefined);
  });

  it('is whole too when the clock was set during another read', async () => {
    await signedIn();
    await live();
    const { hold } = Object.assign(server, { hold: deferred() });
    feed.sync();
    await settled();
    mock.timers.setTime(START + 7_200_000);
    feed.now();
    hold.resolve();
    await settled();
    assert.equal(reads().length, 4);
    assert.equal(reads()[3].headers['if-none-match'], undefined);
  });

  it('waits as long as a busy server asks for', async () => {
    change(job('a', { status: 'running' }));
    await signedIn();
    await live();
    server.status = 429;
    server.retryAfter = '60';
    await feed.sync();
    const before = reads().length;
    await pass(59_000, 1000);
    assert.equal(reads().length, before);
    await pass(2000);
    assert.equal(reads().length, before + 1);
  });
});

describe('without pushes', () => {
  it('reads every 30 s while nothing runs', async () => {
    await signedIn();
    hubs[0].fail();
    await settled();
    assert.deepEqual([feed.state, feed.pollEvery], ['off', 30_000]);
    const before = reads().length;
    await pass(29_000);
    const tries = hubs.length;
    assert.equal(reads().length, before);
    assert.equal(tries, 2);
  });

  it('reads every 1.5 s while a job runs, so that its end is known within 2 s', async () => {
    change(job('a', { status: 'running' }));
    await signedIn();
    await live();
    hubs[0].close();
    await settled();
    assert.deepEqual([feed.state, feed.pollEvery], ['reconnecting', 1500]);
    change(job('a', { version: 2, status: 'succeeded', finishedAt: '2026-06-01T12:00:00Z' }));
    await pass(2000);
    assert.deepEqual([feed.store.get('a').status, ended()], ['succeeded', ['a']]);
    assert.equal(feed.pollEvery, 30_000);
  });

  it('reads sooner when this page starts a job', async () => {
    await signedIn();
    hubs[0].fail();
    await settled();
    const before = reads().length;
    change(job('mine', { status: 'running', version: 2 }));
    feed.push(job('mine'));
    await pass(1500);
    assert.equal(reads().length, before + 1);
    assert.equal(feed.store.get('mine').status, 'running');
  });

  it('says that live updates are off when the hub stays away, in the console once each time', async () => {
    const warn = mock.method(console, 'warn', () => {});
    await signedIn();
    await live();
    for (let times = 1; times < 3; times += 1) {
      hubs.at(-1).close();
      assert.equal(feed.state, 'reconnecting');
      for (let tries = 0; tries < 20; tries += 1) {
        await pass(33_000);
        hubs.at(-1).fail();
        await settled();
      }
      assert.deepEqual([feed.state, warn.mock.callCount()], ['off', times]);
      await pass(33_000);
      await live();
      await pass(16_000);
    }
    warn.mock.restore();
  });

  it('asks a silent server less and less often, and keeps what it knows', async () => {
    change(job('a', { status: 'running' }));
    await signedIn();
    server.status = 0;
    hubs[0].fail();
    await settled();
    await pass(60_000);
    assert.ok(feed.failures > 3 && feed.failures < 9, `${feed.failures} failures`);
    assert.deepEqual([labels(), feed.readAt], [['a'], START]);
    server.status = 200;
    await pass(31_000);
    assert.equal(feed.failures, 0);
  });

  it('takes an answer without a list for none', async () => {
    change(job('a'));
    await signedIn();
    server.answers['GET /api/jobs/mine'] = { body: { detail: 'from something in between' } };
    await feed.sync();
    assert.deepEqual([labels(), feed.failures], [['a'], 1]);
  });
});

describe('a hidden page', () => {
  it('closes its connection after two minutes and reads nothing', async () => {
    await signedIn();
    await live();
    page.tell('hidden');
    await pass(119_000, 1000);
    assert.equal(feed.state, 'live');
    await pass(2000);
    assert.deepEqual([feed.state, hubs[0].stopped], ['paused', true]);
    const before = reads().length;
    page.tell('online');
    await pass(600_000, 10_000);
    assert.deepEqual([reads().length, hubs.length], [before, 1]);
  });

  it('reads once a minute while one of its jobs runs, then rarely until its end is seen', async () => {
    change(job('a', { status: 'running' }));
    await signedIn();
    await live();
    page.tell('hidden');
    await pass(122_000, 1000);
    assert.equal(feed.state, 'paused');
    const before = reads().length;
    await pass(180_000, 1000);
    assert.deepEqual([reads().length, hubs.length], [before + 3, 1]);
    change(job('a', { status: 'succeeded', version: 2 }));
    await pass(60_000, 1000);
    assert.deepEqual(feed.store.counts, { unseen: 1, running: 0 });
    await pass(240_000, 1000);
    assert.equal(reads().length, before + 4);
    change(job('a', { status: 'succeeded', seenAt: '2026-12-01T12:00:00Z', version: 3 }));
    await pass(600_000, 1000);
    assert.deepEqual([feed.store.counts.unseen, reads().length], [0, before + 5]);
    page.tell('left');
    await pass(600_000, 10_000);
    assert.equal(reads().length, before + 5);
  });

  it('is right when it is shown again', async () => {
    await signedIn();
    await live();
    page.tell('hidden');
    await pass(130_000, 1000);
    change(job('meanwhile'));
    page.tell('visible');
    await settled();
    assert.deepEqual(labels(), ['meanwhile']);
    await live();
    assert.equal(feed.state, 'live');
  });

  it('closes its connection when it is left, and opens it when somebody comes back', async () => {
    await signedIn();
    await live();
    page.tell('left');
    await settled();
    assert.deepEqual([feed.state, hubs[0].stopped], ['paused', true]);
    page.tell('visible');
    await live();
    assert.deepEqual([feed.state, hubs.length], ['live', 2]);
  });

  it('keeps its connection when it is shown in time', async () => {
    await signedIn();
    await live();
    page.tell('hidden');
    await pass(60_000, 1000);
    page.tell('visible');
    await pass(120_000, 1000);
    assert.deepEqual([feed.state, hubs.length], ['live', 1]);
  });
});

describe('signing in', () => {
  it('is awaited without a request when there is nobody', async () => {
    await signedIn(null);
    assert.deepEqual([feed.state, requests.length, hubs.length], ['signed-out', 0, 0]);
  });

  it('is needed again when the server refuses the token; jobs stay', async () => {
    change(job('a'));
    await signedIn();
    await live();
    server.status = 401;
    await feed.sync();
    assert.deepEqual([feed.state, labels(), hubs[0].stopped], ['signed-out', ['a'], true]);
    const before = requests.length;
    await pass(120_000, 1000);
    assert.equal(requests.length, before, 'a refused token is not sent again');
  });

  it('is needed again when the server refuses the list to whoever it is', async () => {
    change(job('a'));
    await signedIn();
    server.status = 403;
    await feed.sync();
    assert.deepEqual([feed.state, labels()], ['signed-out', ['a']]);
  });

  it('works with a plain function, which may throw', async () => {
    let token = null;
    feed.signIn(() => token ?? assert.fail('not yet'));
    await settled();
    assert.deepEqual([feed.state, feed.failures], ['connecting', 1]);
    feed.signIn(() => token && 'token');
    await settled();
    assert.equal(feed.state, 'signed-out');
    token = 'token';
    change(job('a'));
    page.tell('visible');
    await settled();
    assert.deepEqual(labels(), ['a']);
  });

  it('does not wait for ever for a token', async () => {
    change(job('a'));
    let answers = false;
    feed.signIn(() => (answers ? 'token' : new Promise(() => {})));
    await pass(40_000, 1000);
    assert.ok(feed.failures > 0);
    answers = true;
    await pass(31_000, 1000);
    assert.deepEqual(labels(), ['a']);
  });

  it('ends by null, which forgets the jobs', async () => {
    change(job('a', { status: 'running' }));
    await signedIn();
    await live();
    feed.signIn(null);
    assert.deepEqual([feed.state, labels(), feed.store.loaded, hubs[0].stopped], ['signed-out', [], false, true]);
    const before = requests.length;
    page.tell('visible');
    await pass(60_000, 1000);
    assert.equal(requests.length, before);
    await signedIn('two');
    assert.deepEqual([feed.state, labels()], ['connecting', ['a']]);
  });

  it('is needed when only the negotiate is refused', async () => {
    await signedIn();
    await hubs[0].getToken();
    hubs[0].onRefused('token');
    hubs[0].fail();
    await pass(120_000, 1000);
    assert.deepEqual([feed.state, hubs.length], ['signed-out', 1]);
  });

  it('is noticed when the same source gives another token', async () => {
    let token = 'old';
    feed.signIn(async () => token);
    await settled();
    server.status = 401;
    await feed.sync();
    server.status = 200;
    change(job('a'));
    token = 'new';
    await pass(31_000, 1000);
    await live();
    assert.deepEqual([feed.state, labels()], ['live', ['a']]);
  });

  it('of somebody else replaces everything, and nothing of it is news', async () => {
    change(job('mine', { status: 'running' }));
    await signedIn('one');
    await live();
    change(job('other', { status: 'succeeded', finishedAt: '2026-06-01T11:00:00Z' }));
    await signedIn('two');
    assert.deepEqual([labels(), ended(), hubs[0].stopped], [['other'], [], true]);
    assert.equal(reads().at(-1).headers['if-none-match'], undefined, 'read whole, not compared with the list before');
  });

  it('of somebody else is not mixed with a late list of the one before', async () => {
    server.itemsOf = { 'Bearer one': [job('of one')], 'Bearer two': [job('of two')] };
    server.hold = deferred();
    feed.signIn(async () => 'one');
    await settled();
    const late = server.hold;
    server.hold = null;
    feed.signIn(async () => 'two');
    await settled();
    const shown = [];
    const stop = feed.subscribe(() => shown.push(...labels()));
    await settled();
    assert.deepEqual(labels(), ['of two'], 'and does not wait for it');
    late.resolve();
    await settled();
    stop();
    assert.deepEqual([labels(), shown.includes('of one')], [['of two'], false]);
  });

  it('of somebody else is not disturbed by late answers to the one before', async () => {
    change(job('mine'));
    server.hold = deferred();
    feed.signIn(async () => 'one');
    await settled();
    const late = server.hold;
    server.hold = null;
    feed.signIn(async () => 'two');
    await settled();
    server.refused = 'Bearer one';
    late.resolve();
    await settled();
    assert.equal(feed.state, 'connecting', 'the refusal was of the old token');
    assert.deepEqual([labels(), reads().at(-1).headers.authorization], [['mine'], 'Bearer two']);
  });

  it('with a source that fails is tried again', async () => {
    let broken = true;
    feed.signIn(async () => {
      if (broken) throw new Error('the identity provider is away');
      return 'token';
    });
    await settled();
    assert.equal(feed.failures, 1);
    broken = false;
    change(job('a'));
    await pass(31_000, 1000);
    assert.deepEqual(labels(), ['a']);
  });
});

describe('what a person does', () => {
  const done = { status: 'succeeded', version: 3, finishedAt: '2026-06-01T11:00:00Z' };

  beforeEach(async () => {
    change(job('b', { status: 'running' }), job('a', done));
    await signedIn();
    await live();
  });

  it('is told the end of what was started here, once', async () => {
    feed.track(job('c', { status: 'pending' }));
    const ended = [job('c', done), job('a', done)];
    assert.deepEqual(feed.takeStarted(ended), [ended[0]]);
    assert.deepEqual(feed.takeStarted(ended), []);
  });

  it('is told an end that came before the answer that it has started', async () => {
    const heard = [];
    const leave = feed.subscribe((change) => heard.push(change));
    feed.push(job('c', done));
    feed.track(job('c', { status: 'pending', version: 1 }));
    leave();
    assert.deepEqual(heard.map(({ ended, early = [] }) => [ended.length, early.length]), [[1, 0], [0, 1]]);
    assert.deepEqual(feed.takeStarted(heard[1].early).map(({ id }) => id), ['c']);
  });

  it('is told the end of what was tried again here', async () => {
    server.answers['POST /api/jobs/a/retry'] = { body: job('a', { version: 4 }) };
    await feed.actions.retry(feed.store.get('a'));
    assert.deepEqual(feed.takeStarted([job('a', { ...done, version: 6 })]).length, 1);
  });

  it('clears a job at once', async () => {
    server.hold = deferred();
    const clearing = feed.actions.clear(feed.store.get('a'));
    assert.deepEqual(labels(), ['b']);
    server.hold.resolve();
    await clearing;
    handlers.removed([{ id: 'a', version: 4 }]);
    assert.deepEqual(labels(), ['b']);
  });

  it('gets the job back when clearing fails', async () => {
    server.status = 500;
    await assert.rejects(feed.actions.clear(feed.store.get('a')), { name: 'ApiError', status: 500, detail: 'told by the server' });
    assert.deepEqual(labels(), ['b', 'a']);
  });

  it('does not mind that the job is gone already', async () => {
    server.answers['DELETE /api/jobs/a'] = { status: 404, body: {} };
    await feed.actions.clear(feed.store.get('a'));
    assert.deepEqual(labels(), ['b']);
  });

  it('clears all that has ended, and undoes it', async () => {
    server.answers['POST /api/jobs/clear-finished'] = { body: { cleared: [{ id: 'a', version: 4 }], clearedAt: '2026-06-01T12:00:00Z' } };
    const batch = await feed.actions.clearFinished();
    assert.deepEqual([labels(), batch], [['b'], { ids: ['a'], since: '2026-06-01T12:00:00Z' }]);
    change(job('b', { status: 'running' }), job('a', { ...done, version: 5 }));
    await feed.actions.undo(batch);
    assert.deepEqual(labels(), ['b', 'a']);
    const undo = requests.find(({ path }) => path === '/api/jobs/undo-clear');
    assert.deepEqual(undo.body, { since: batch.since });
  });

  const many = Array.from({ length: 1100 }, (_, index) => `j${index}`);
  const sent = (path) => requests.filter((request) => request.path === path);

  it('undoes however many in one request, which a page that is closed does not take along', async () => {
    await feed.actions.undo({ ids: many, since: '2026-06-01T12:00:00Z' });
    assert.deepEqual(sent('/api/jobs/undo-clear').map(({ keepalive }) => keepalive), [true]);
  });

  it('sends many ids in parts that the server takes', async () => {
    await feed.actions.markSeen(many.map((id) => job(id, done)));
    assert.deepEqual(sent('/api/jobs/seen').map(({ body }) => body.ids.length), [500, 500, 100]);
  });

  it('sees jobs at once, and they are new again when that fails', async () => {
    assert.equal(feed.store.counts.unseen, 1);
    server.hold = deferred();
    const seeing = feed.actions.markSeen([feed.store.get('a')]);
    assert.equal(feed.store.counts.unseen, 0);
    server.status = 503;
    server.hold.resolve();
    await seeing;
    assert.equal(feed.store.counts.unseen, 1);
  });

  it('cancels and retries, and shows the answer', async () => {
    server.answers['POST /api/jobs/b/cancel'] = { status: 202, body: job('b', { version: 2, status: 'running', cancelRequested: true }) };
    await feed.actions.cancel(feed.store.get('b'));
    assert.equal(feed.store.get('b').cancelRequested, true);
    server.answers['POST /api/jobs/a/retry'] = { status: 202, body: job('a', { version: 4 }) };
    await feed.actions.retry(feed.store.get('a'));
    assert.equal(feed.store.get('a').status, 'pending');
  });

  it('reads the list when the server refuses an action', async () => {
    server.answers['POST /api/jobs/b/cancel'] = { status: 409, body: { detail: 'It has ended.' } };
    change(job('b', { version: 2, ...done }));
    await assert.rejects(feed.actions.cancel(feed.store.get('b')), { status: 409 });
    await settled();
    assert.equal(feed.store.get('b').status, 'succeeded');
  });
});

describe('several bells', () => {
  it('tell each change once, whatever else listens and came first', async () => {
    const told = [];
    const bell = (name) => feed.subscribe((change) => feed.isNews(change) && told.push([name, ...change.updated]));
    const leaves = [bell('first'), bell('second')];
    await signedIn();
    await live();
    told.length = 0;
    feed.push(job('a'));
    assert.deepEqual(told.map(([name]) => name), ['first']);
    leaves[0]();
    feed.push(job('a', { version: 2 }));
    assert.deepEqual(told.map(([name, { version }]) => [name, version]), [['first', 1], ['second', 2]]);
    leaves[1]();
  });

  it('share one connection, which ends with the last', async () => {
    const second = feed.subscribe(() => {});
    const same = async () => 'token';
    feed.signIn(same);
    feed.signIn(same);
    await live();
    assert.equal(hubs.length, 1);
    second();
    assert.equal(feed.state, 'live');
    unsubscribe();
    assert.equal(hubs[0].stopped, true);
    const leave = feed.subscribe(() => {});
    await live();
    assert.deepEqual([hubs.length, feed.state], [2, 'live'], 'an element that comes back starts it again');
    leave();
  });
});
