// Whose jobs these are: functions and tokens that come and go, as frameworks and sign-ins bring them.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { personOf } from '../../../web/js/feed/token-source.js';
import {
  change, feed, hubs, labels, live, page, pass, reads, requests, server, signedIn, unsubscribe,
} from './bench.mjs';
import { deferred, settled } from './fakes.mjs';
import { job, jwt } from './jobs.mjs';

describe('a page that renders again and again', () => {
  const setAgain = async (times, makeToken) => {
    for (let time = 0; time < times; time += 1) {
      feed.signIn(async () => makeToken(time));
      await settled();
    }
  };
  const counts = () => [hubs.length, reads().length];

  for (const [name, token] of [['a JWT', jwt('ann')], ['another token', 'opaque']]) {
    it(`is asked for nothing while its functions yield the same, ${name}`, async () => {
      await setAgain(20, () => token);
      await live();
      await setAgain(20, () => token);
      assert.deepEqual([counts(), feed.state], [[1, 2], 'live']);
    });
  }

  it('is asked by its newest function from then on', async () => {
    await signedIn(jwt('ann', { n: 0 }));
    await live();
    await setAgain(20, (time) => jwt('ann', { n: time }));
    assert.deepEqual([counts(), feed.state], [[1, 2], 'live'], 'renewed for the same person');
    await feed.sync();
    assert.equal(reads().at(-1).headers.authorization, `Bearer ${jwt('ann', { n: 19 })}`);
    assert.equal(await hubs[0].getToken(), jwt('ann', { n: 19 }));
  });

  it('keeps nothing of the one before on screen once it is somebody else, whatever the list does', async () => {
    change(job('mine'));
    await signedIn(jwt('ann'));
    await live();
    server.hold = deferred();
    await signedIn(jwt('bob'));
    assert.deepEqual([labels(), feed.readAt, hubs[0].stopped, hubs.length], [[], null, true, 2]);
    server.hold.resolve();
    server.hold = null;
    await signedIn(jwt('bob', { iss: 'elsewhere' }));
    assert.equal(hubs.length, 3, 'the same name at another issuer is somebody else');
  });

  it('starts over for a token that does not say whom it is for, and keeps the jobs until the list is there', async () => {
    change(job('mine'));
    await signedIn(jwt('ann'));
    await live();
    server.hold = deferred();
    await signedIn('opaque');
    assert.deepEqual([labels(), hubs.length], [['mine'], 2]);
    change(job('theirs'));
    server.hold.resolve();
    server.hold = null;
    await settled();
    assert.deepEqual(labels(), ['theirs']);
    await signedIn(jwt('ann'));
    assert.equal(hubs.length, 3, 'what is shown since then may be of somebody else');
  });

  it('has somebody else behind the function that it has set', async () => {
    let token = jwt('ann');
    change(job('mine'));
    feed.signIn(() => token);
    await settled();
    await live();
    token = jwt('bob');
    server.hold = deferred();
    feed.sync();
    await settled();
    assert.deepEqual([labels(), hubs[0].stopped, hubs.length], [[], true, 2]);
    server.hold.resolve();
  });

  it('keeps nobody busy with a function that yields somebody else each time', async () => {
    let n = 0;
    feed.signIn(() => jwt(`guest ${(n += 1)}`));
    await pass(10_000, 100);
    assert.ok(n < 100, `${n} tokens in ten seconds`);
    assert.ok(hubs.length < 20, `${hubs.length} connections in ten seconds`);
  });

  it('does not wait for a function that it has replaced', async () => {
    feed.signIn(() => new Promise(() => {}));
    await settled();
    change(job('a'));
    await signedIn(jwt('ann'));
    await live();
    assert.deepEqual([labels(), feed.state], [['a'], 'live']);
  });

  for (const [name, answer] of [['nobody', () => null], ['a failure', () => Promise.reject(new Error('no'))]]) {
    it(`is not signed out by a replaced function that ends with ${name}`, async () => {
      const late = deferred();
      feed.signIn(() => late.promise.then(answer));
      await settled();
      change(job('a'));
      await signedIn(jwt('ann'));
      late.resolve();
      await settled();
      await live();
      assert.deepEqual([feed.state, feed.refused, feed.failures, labels()], ['live', false, 0, ['a']]);
    });
  }

  it('is signed out by a new function that yields nobody, and back in by the next', async () => {
    change(job('a'));
    await signedIn(jwt('ann'));
    await live();
    await setAgain(20, () => null);
    assert.deepEqual([feed.state, feed.refused, labels(), hubs.length], ['signed-out', true, ['a'], 1]);
    await signedIn(jwt('ann'));
    await live();
    assert.deepEqual([feed.state, hubs.length], ['live', 2]);
  });

  it('hears of a new function that fails, and continues with the next', async () => {
    await signedIn(jwt('ann'));
    await live();
    await setAgain(20, () => assert.fail('not now'));
    assert.deepEqual([feed.failures, ...counts()], [1, 1, 2]);
    await signedIn(jwt('ann'));
    await pass(31_000, 1000);
    assert.deepEqual([feed.failures, feed.state, hubs.length], [0, 'live', 1]);
  });

  it('is asked for nothing by tokens that were refused already', async () => {
    await signedIn(jwt('ann'));
    server.status = 401;
    await feed.sync();
    const before = requests.length;
    await setAgain(20, () => jwt('ann'));
    assert.deepEqual([feed.state, requests.length - before, hubs.length], ['signed-out', 0, 1]);
  });

  it('does not hear what was refused to a token that it has renewed', async () => {
    await signedIn(jwt('ann', { n: 1 }));
    await live();
    server.hold = deferred();
    server.refused = `Bearer ${jwt('ann', { n: 1 })}`;
    const late = feed.sync();
    await settled();
    await signedIn(jwt('ann', { n: 2 }));
    server.hold.resolve();
    server.hold = null;
    await late;
    assert.deepEqual([feed.state, feed.refused], ['live', false]);
  });

  it('forgets with null, and starts once more with the function after it', async () => {
    change(job('a'));
    await signedIn(jwt('ann'));
    await live();
    feed.signIn(null);
    assert.deepEqual(labels(), []);
    await signedIn(jwt('ann'));
    assert.deepEqual([labels(), hubs.length], [['a'], 2]);
    feed.signIn(undefined);
    assert.deepEqual([feed.state, labels()], ['signed-out', []]);
  });

  it('shows an element that comes back what it knew, unless it comes with another function', async () => {
    change(job('mine'));
    const same = async () => jwt('ann');
    feed.signIn(same);
    await settled();
    unsubscribe();
    const leave = feed.subscribe(() => {});
    feed.signIn(same);
    assert.deepEqual(labels(), ['mine']);
    leave();
    feed.signIn(() => new Promise(() => {}));
    assert.deepEqual(labels(), [], 'who it is will be known only later');
  });

  it('does not see late answers to what somebody else has done', async () => {
    change(job('mine', { status: 'running' }));
    await signedIn(jwt('ann'));
    await live();
    server.answers['POST /api/jobs/mine/cancel'] = { body: job('mine', { version: 9, status: 'running' }) };
    server.answers['POST /api/jobs/mine/retry'] = { body: job('mine', { version: 9 }) };
    server.hold = deferred();
    const late = [feed.actions.cancel(feed.store.get('mine')), feed.actions.retry(feed.store.get('mine'))];
    await settled();
    const { hold } = server;
    server.hold = null;
    change();
    await signedIn(jwt('bob'));
    hold.resolve();
    await Promise.all(late);
    assert.deepEqual(labels(), []);
  });
});

describe('a token', () => {
  const encoded = (text) => Buffer.from(text).toString('base64url');

  it('says whom it is for, where it is a JWT', () => {
    assert.equal(personOf(jwt('ann', { exp: 1 })), personOf(jwt('ann', { exp: 2 })));
    const people = [
      jwt('ann'), jwt('bob'), jwt('ann', { iss: 'other' }), jwt('ann', { oid: '1' }), jwt('ann', { tid: '1' }),
      jwt('Ännchen???>>>'), jwt('ann","x'), jwt('ann', { iss: 'issuer","ann' }),
    ].map(personOf);
    assert.equal(new Set(people).size, people.length);
    assert.ok(!people.includes(null));
  });

  it('says nothing where it is none', () => {
    const others = ['', 'opaque', 'a.b.c', '...', `x.${encoded('[]')}.x`, `x.${encoded('null')}.x`, `x.${encoded('{}')}.x`];
    assert.deepEqual([...others, null, undefined, 7, {}].map(personOf).filter(Boolean), []);
  });
});
