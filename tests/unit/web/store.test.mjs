// The rules by which pushes and snapshots change what a page knows.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { JobStore, newestFirst } from '../../../web/js/feed/store.js';
import { job, snapshot } from './jobs.mjs';

const labels = (store) => store.list().map(({ label }) => label);

/** A store that has merged these jobs. */
function storeOf(jobs, extra) {
  const store = new JobStore();
  store.merge(snapshot(jobs, extra), store.mark());
  return store;
}

describe('versions', () => {
  it('applies only a newer version', () => {
    const store = storeOf([job('a', { version: 5, label: 'five' })]);
    for (const version of [4, 5]) {
      assert.equal(store.apply(job('a', { version, label: 'late' })).changed, false);
    }
    assert.deepEqual(labels(store), ['five']);
    assert.equal(store.apply(job('a', { version: 6, label: 'six' })).changed, true);
    assert.deepEqual(labels(store), ['six']);
  });

  it('looks at the version alone, whatever the attempt is', () => {
    const store = storeOf([job('a', { version: 5, attempt: 3, status: 'failed' })]);
    store.apply(job('a', { version: 6, attempt: 0, status: 'pending' }));
    assert.equal(store.get('a').status, 'pending');
  });

  it('ignores what is not a job', () => {
    const store = new JobStore();
    for (const value of [undefined, null, {}, { id: 'a' }, { id: 'a', version: '7' }, { id: 'a', version: 7 }]) {
      assert.equal(store.apply(value).changed, false);
    }
    assert.equal(store.list().length, 0);
  });

  it('keeps a newer push when an older snapshot arrives', () => {
    const store = storeOf([job('a', { version: 1 })]);
    const mark = store.mark();
    store.apply(job('a', { version: 3, status: 'succeeded' }));
    const { ended } = store.merge(snapshot([job('a', { version: 2, status: 'running' })]), mark);
    assert.equal(store.get('a').status, 'succeeded');
    assert.deepEqual(ended, []);
  });

  it('shows the same after any order of the same pushes', () => {
    const pushes = [1, 2, 3, 4].map((version) => job('a', { version, label: `v${version}` }));
    for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [3, 3, 0, 3]]) {
      const store = new JobStore();
      for (const index of order) store.apply(pushes[index]);
      assert.deepEqual(labels(store), ['v4']);
    }
  });
});

describe('removal', () => {
  it('drops what the server no longer lists', () => {
    const store = storeOf([job('b'), job('a')]);
    store.merge(snapshot([job('b')]), store.mark());
    assert.deepEqual(labels(store), ['b']);
  });

  it('keeps what a push created or changed while the list was read', () => {
    const store = storeOf([job('a', { version: 1 })]);
    const mark = store.mark();
    store.apply(job('b'));
    store.apply(job('a', { version: 2 }));
    store.merge(snapshot([]), mark);
    assert.deepEqual(labels(store).sort(), ['a', 'b']);
  });

  it('keeps older jobs when the list goes on', () => {
    const old = job('old', { createdAt: '2026-01-01T00:00:00Z' });
    const store = storeOf([job('b'), old]);
    store.merge(snapshot([job('b')], { more: true }), store.mark());
    assert.deepEqual(labels(store), ['b', 'old']);
  });

  it('drops everything of somebody else', () => {
    const old = job('old', { createdAt: '2026-01-01T00:00:00Z' });
    const store = storeOf([job('b'), old]);
    store.merge(snapshot([job('mine')], { more: true }), store.mark(), true);
    assert.deepEqual(labels(store), ['mine']);
  });

  it('is not undone by a late push of a lower version', () => {
    const store = storeOf([job('a', { version: 5 })]);
    store.remove('a', 6);
    for (const version of [5, 6]) assert.equal(store.apply(job('a', { version })).changed, false);
    assert.equal(store.list().length, 0);
    store.merge(snapshot([]), store.mark());
    assert.equal(store.apply(job('a', { version: 6 })).changed, false, 'not even after the next snapshot');
    assert.equal(store.apply(job('a', { version: 7 })).changed, true, 'undo brings it back');
  });

  it('is not undone by a snapshot that began before it', () => {
    const store = storeOf([job('a', { version: 5 })]);
    const mark = store.mark();
    store.remove('a', 6);
    store.merge(snapshot([job('a', { version: 5 })]), mark);
    assert.equal(store.list().length, 0);
  });

  it('is undone by a snapshot that began after it and still lists the job', () => {
    const store = storeOf([job('a', { version: 5 })]);
    store.merge(snapshot([]), store.mark());
    store.merge(snapshot([job('a', { version: 5 })]), store.mark());
    assert.deepEqual(labels(store), ['a']);
  });

  it('of an older version than the known one does nothing', () => {
    const store = storeOf([job('a', { version: 8 })]);
    assert.equal(store.remove('a', 7), false);
    assert.deepEqual(labels(store), ['a']);
  });

  it('also comes as a job that is cleared', () => {
    const store = storeOf([job('a', { version: 5 })]);
    assert.equal(store.apply(job('a', { version: 6, clearedAt: '2026-01-01T00:00:00Z' })).changed, true);
    assert.equal(store.list().length, 0);
    assert.equal(store.apply(job('a', { version: 5 })).changed, false);
  });

  it('remembers a bounded number of removed jobs', () => {
    const store = storeOf([]);
    for (let id = 0; id < 1500; id += 1) store.remove(id, 1);
    assert.equal(store.mark().gone.size, 1000);
    assert.equal(store.apply(job(1499, { version: 1 })).changed, false);
  });
});

describe('clearing before the server has answered', () => {
  it('hides at once and shows again when it fails', () => {
    const store = storeOf([job('b'), job('a')]);
    store.hide(['a']);
    assert.deepEqual(labels(store), ['b']);
    store.unhide(['a']);
    assert.deepEqual(labels(store), ['b', 'a']);
  });

  it('stays hidden while pushes about the job arrive', () => {
    const store = storeOf([job('a', { version: 1 })]);
    store.hide(['a']);
    store.apply(job('a', { version: 2 }));
    assert.deepEqual(labels(store), []);
  });

  it('does not come back by a push from before the clearing', () => {
    const store = storeOf([job('a', { version: 4 })]);
    store.hide(['a']);
    store.cleared('a');
    store.unhide(['a']);
    for (const version of [4, 5]) assert.equal(store.apply(job('a', { version })).changed, false);
  });

  it('counts without the hidden ones', () => {
    const store = storeOf([job('a', { status: 'failed' }), job('b', { status: 'failed' })]);
    store.hide(['a']);
    assert.deepEqual(store.counts, { unseen: 1, running: 0 });
  });
});

describe('counts', () => {
  it('tells running from ended and unseen', () => {
    const statuses = ['pending', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'aborted'];
    const store = storeOf(statuses.map((status, index) => job(`j${index}`, { status })));
    store.apply(job('seen', { status: 'failed', seenAt: '2026-01-01T00:00:00Z' }));
    assert.deepEqual(store.counts, { unseen: 4, running: 3 });
  });

  it('counts what lies beyond the list', () => {
    const store = storeOf([job('a', { status: 'failed' })], { more: true, unseen: 7, running: 2 });
    assert.deepEqual(store.counts, { unseen: 7, running: 2 });
  });

  it('counts nothing beyond a list that is whole', () => {
    const store = storeOf([job('a', { status: 'failed' })], { unseen: 7, running: 2 });
    assert.deepEqual(store.counts, { unseen: 1, running: 0 });
  });

  it('shares the progress of what runs and tells it', () => {
    const running = (id, progress) => job(id, { status: 'running', progress });
    assert.equal(storeOf([running('a', null), job('b', { status: 'pending' })]).progress, null);
    assert.equal(storeOf([running('a', 0.2), running('b', 0.6), running('c', null)]).progress, 0.4);
  });

  it('knows of a failure until it is seen', () => {
    assert.equal(storeOf([job('a', { status: 'succeeded' }), job('b', { status: 'running' })]).hasFailed, false);
    const failed = ['failed', 'aborted'].map((status, index) => job(`f${index}`, { status }));
    const store = storeOf(failed);
    assert.equal(store.hasFailed, true);
    store.markSeen(failed);
    assert.equal(store.hasFailed, false);
  });

  it('stays right when a push overtakes the snapshot that has counted', () => {
    const store = storeOf([]);
    const mark = store.mark();
    store.apply(job('a', { version: 2, status: 'succeeded' }));
    store.merge(snapshot([job('a', { version: 1, status: 'running' })], { more: true, running: 1 }), mark);
    assert.deepEqual(store.counts, { unseen: 1, running: 0 });
  });

  it('does not take in a job from beyond the list, but says so', () => {
    const store = storeOf([job('a')], { more: true });
    const effect = store.apply(job('old', { createdAt: '2026-01-01T00:00:00Z' }));
    assert.deepEqual(effect, { changed: false, ended: false, outside: true });
  });

  it('counts seen ones as seen at once, and as new when the request fails', () => {
    const done = job('a', { version: 3, status: 'failed' });
    const store = storeOf([done]);
    store.markSeen([done]);
    assert.equal(store.counts.unseen, 0);
    store.unmarkSeen([done]);
    assert.equal(store.counts.unseen, 1);
  });

  it('counts a seen job as new when it has run again', () => {
    const done = job('a', { version: 3, status: 'failed' });
    const store = storeOf([done]);
    store.markSeen([done]);
    store.apply(job('a', { version: 4, status: 'running' }));
    store.apply(job('a', { version: 5, status: 'succeeded' }));
    assert.equal(store.counts.unseen, 1);
  });
});

describe('the end of a job', () => {
  const ended = { status: 'succeeded', finishedAt: '2026-06-01T10:00:00Z' };

  it('is told once', () => {
    const store = storeOf([job('a', { version: 1, status: 'running' })]);
    assert.equal(store.apply(job('a', { version: 2, ...ended })).ended, true);
    assert.equal(store.apply(job('a', { version: 2, ...ended })).ended, false);
    assert.equal(store.apply(job('a', { version: 3, ...ended, seenAt: ended.finishedAt })).ended, false);
  });

  it('is told by a snapshot that a push was lost for', () => {
    const store = storeOf([job('a', { version: 1, status: 'running' })]);
    const change = store.merge(snapshot([job('a', { version: 2, ...ended })]), store.mark());
    assert.deepEqual(change.ended.map(({ id }) => id), ['a']);
    assert.deepEqual(change.updated.map(({ id }) => id), ['a']);
  });

  it('is told again when the job ran once more unnoticed', () => {
    const store = storeOf([job('a', { version: 2, status: 'failed', finishedAt: '2026-06-01T09:00:00Z' })]);
    assert.equal(store.apply(job('a', { version: 6, ...ended })).ended, true);
  });

  it('is not told for jobs from beyond the list that move up into it', () => {
    const at = (minute) => ({ status: 'failed', createdAt: `2026-06-01T00:0${minute}:00Z`, finishedAt: `2026-06-01T01:0${minute}:00Z` });
    const store = storeOf([job('c', at(3)), job('b', at(2))], { more: true });
    const { ended, updated } = store.merge(snapshot([job('d', at(4)), job('b', at(2)), job('a', at(1))]), store.mark());
    assert.deepEqual([updated.map(({ id }) => id), ended.map(({ id }) => id)], [['d', 'a'], ['d']]);
  });

  it('is not told for an old job that was seen elsewhere', () => {
    const store = storeOf([]);
    assert.equal(store.apply(job('a', { ...ended, seenAt: ended.finishedAt })).ended, false);
  });
});

describe('order', () => {
  it('is by creation and then by id, newest first', () => {
    const at = (createdAt, id) => ({ createdAt, id });
    const jobs = [
      at('2026-06-01T10:00:00Z', '10'),
      at('2026-06-01T10:00:00Z', '9'),
      at('2026-06-01T10:00:00.500000Z', '1'),
      at('2026-06-01T11:00:00+02:00', '99'),
    ];
    const sorted = jobs.toSorted(newestFirst).map(({ id }) => id);
    assert.deepEqual(sorted, ['1', '10', '9', '99']);
  });
});

describe("the server's clock", () => {
  const at = (milliseconds) => new Date(milliseconds).toISOString();

  it('is the middle one of the last three answers', () => {
    const store = new JobStore();
    assert.equal(store.serverNow(1000), 1000);
    for (const offset of [9_000_000, 7_200_000, 7_200_100, 7_199_900]) store.noteClock(at(1000 + offset), 1000);
    assert.equal(store.serverNow(1000), 1000 + 7_200_000);
  });

  it('is that of the last answer when the clock of this machine was set', () => {
    const store = new JobStore();
    const server = Date.parse('2026-06-01T12:00:00Z');
    for (const now of [server, server, server + 7_200_000]) store.noteClock('2026-06-01T12:00:00Z', now);
    assert.equal(store.serverNow(server + 7_200_000), server);
  });

  it('is not disturbed by an answer without a time', () => {
    const store = new JobStore();
    store.noteClock(at(61_000), 1000);
    store.noteClock(undefined, 1000);
    assert.equal(store.serverNow(0), 60_000);
  });
});
