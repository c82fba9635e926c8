// An invite becomes a session, once for all tabs of a browser.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';

import { ApiError } from '../../../web/js/api.js';
import { InviteSession, takeInvite } from '../../../web/js/sign-in/session.js';

describe('the invite in the address', () => {
  const take = (hash) => {
    let shown = null;
    const history = { state: 7, replaceState: (...args) => (shown = args) };
    return [takeInvite({ hash, pathname: '/', search: '?a=b' }, history), shown];
  };

  it('is taken and leaves no trace', () => {
    assert.deepEqual(take('#invite=s3cret'), ['s3cret', [7, '', '/?a=b']]);
  });

  it('leaves the rest of the fragment', () => {
    assert.deepEqual(take('#x=1&invite=s3cret'), ['s3cret', [7, '', '/?a=b#x=1']]);
  });

  it('is removed when it is empty too', () => {
    assert.deepEqual(take('#invite='), [null, [7, '', '/?a=b']]);
  });

  it('is not looked for elsewhere', () => {
    assert.deepEqual(take('#main'), [null, null]);
    assert.deepEqual(take(''), [null, null]);
  });
});

describe('a session', () => {
  let tabs;
  let made;
  let answer;

  /** A tab of one browser: own storage, a channel to the other tabs. */
  function tab(storage = new Map(), locks = null) {
    const channel = {
      postMessage: (data) => {
        for (const other of tabs) if (other !== channel) queueMicrotask(() => other.onmessage({ data: structuredClone(data) }));
      },
    };
    tabs.push(channel);
    return new InviteSession({
      exchange: async (invite) => answer(invite),
      storage: {
        getItem: (key) => storage.get(key) ?? null,
        setItem: (key, value) => storage.set(key, value),
        removeItem: (key) => storage.delete(key),
      },
      channel,
      locks,
    });
  }

  /** Waits for a sign-in; the time in which siblings may answer passes at once. */
  async function finished(work) {
    let waiting = true;
    const done = work.finally(() => (waiting = false));
    while (waiting) {
      await new Promise((resolve) => setImmediate(resolve));
      mock.timers.tick(100);
    }
    await done;
  }

  async function started(session, invite = null) {
    await finished(session.start(invite));
    return session;
  }

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    tabs = [];
    made = 0;
    answer = (invite) => {
      if (!invite.startsWith('good')) throw new ApiError({ status: 401 });
      made += 1;
      return { token: `token-${made}`, expiresAt: '2026-01-01T00:00:00Z', user: { id: `u${made}`, display: `Guest ${made}`, roles: ['guest'] } };
    };
  });

  afterEach(() => mock.timers.reset());

  it('is made from an invite', async () => {
    const session = await started(tab(), 'good');
    assert.deepEqual([session.state, session.token, session.user.display], ['signed-in', 'token-1', 'Guest 1']);
  });

  it('is needed without an invite', async () => {
    const session = await started(tab());
    assert.deepEqual([session.state, session.token, session.user], ['needed', null, null]);
  });

  it('is not made from a wrong invite, which is not tried again', async () => {
    let asked = 0;
    answer = () => {
      asked += 1;
      throw new ApiError({ status: 401 });
    };
    const session = await started(tab(), 'bad');
    assert.equal(session.state, 'wrong');
    await started(session);
    assert.deepEqual([session.state, asked], ['needed', 1]);
  });

  it('can be tried again after a failure', async () => {
    const good = answer;
    answer = () => {
      throw new ApiError({ status: 429 });
    };
    const session = await started(tab(), 'good');
    assert.deepEqual([session.state, session.error.status], ['failed', 429]);
    answer = good;
    await started(session);
    assert.equal(session.state, 'signed-in');
  });

  it('needs no storage, which a browser may refuse', async () => {
    const channel = { postMessage: () => {} };
    const exchange = async (invite) => answer(invite);
    const session = new InviteSession({ exchange, storage: null, channel });
    await started(session, 'good');
    assert.equal(session.state, 'signed-in');
    session.refuse(session.token);
    assert.equal(session.state, 'ended');
  });

  it('survives a reload', async () => {
    const storage = new Map();
    await started(tab(storage), 'good');
    assert.equal((await started(tab(storage))).token, 'token-1');
    assert.equal((await started(tab(storage), 'good')).token, 'token-1');
    assert.equal(made, 1);
  });

  it('comes of the invite after a reload too, until that is redeemed', async () => {
    const storage = new Map();
    const good = answer;
    let isAsked = false;
    answer = () => {
      isAsked = true;
      return new Promise(() => {});
    };
    tab(storage).start('good');
    while (!isAsked) {
      await new Promise((resolve) => setImmediate(resolve));
      mock.timers.tick(100);
    }
    assert.ok([...storage.values()].includes('good'), 'the page is reloaded, and the address has it no more');
    answer = () => {
      throw new ApiError({ status: 503 });
    };
    assert.equal((await started(tab(storage))).state, 'failed');
    answer = good;
    assert.equal((await started(tab(storage))).state, 'signed-in');
    assert.ok(![...storage.values()].includes('good'));
  });

  it('does not keep an invite that is wrong, and takes a newer one instead of what it kept', async () => {
    const storage = new Map();
    answer = () => {
      throw new ApiError({ status: 503 });
    };
    await started(tab(storage), 'good');
    const used = [];
    answer = (invite) => {
      used.push(invite);
      throw new ApiError({ status: 401 });
    };
    assert.equal((await started(tab(storage), 'newer')).state, 'wrong');
    assert.deepEqual([used, storage.size], [['newer'], 0]);
  });

  it('is shared by tabs, with the same link or none', async () => {
    await started(tab(), 'good');
    assert.equal((await started(tab(), 'good')).token, 'token-1');
    assert.equal((await started(tab())).token, 'token-1');
    assert.equal(made, 1);
  });

  it('is another one for another link', async () => {
    const storage = new Map();
    await started(tab(storage), 'good');
    assert.equal((await started(tab(), 'good-admin')).token, 'token-2');
    const same = await started(tab(storage), 'good-admin');
    assert.deepEqual([same.state, same.token], ['other', 'token-1'], 'in the same tab only on request');
    await finished(same.useLink());
    assert.deepEqual([same.state, same.token], ['signed-in', 'token-2']);
  });

  it('is kept beside another link, for reloads too', async () => {
    const storage = new Map();
    const session = await started(tab(storage), 'good');
    await started(session, 'good-admin');
    assert.deepEqual([session.state, session.user.id], ['other', 'u1']);
    const reloaded = await started(tab(storage));
    assert.deepEqual([reloaded.state, reloaded.user.id, made], ['other', 'u1', 1]);
    reloaded.stay();
    assert.deepEqual([reloaded.state, reloaded.token], ['signed-in', 'token-1']);
    assert.ok(![...storage.values()].includes('good-admin'));
    assert.equal((await started(tab(storage))).state, 'signed-in');
    assert.equal((await started(reloaded, 'good-admin')).state, 'other', 'a second time too');
    reloaded.refuse('token-1');
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([reloaded.state, reloaded.token], ['signed-in', 'token-2'], 'there is nothing left to keep');
  });

  it('is replaced without asking again when the chosen link fails at first, without storage too', async () => {
    const good = answer;
    const session = new InviteSession({ exchange: async (invite) => answer(invite), storage: null, channel: { postMessage() {} } });
    await started(session, 'good');
    await started(session, 'good-admin');
    assert.equal(session.state, 'other');
    answer = () => {
      throw new ApiError({ status: 503 });
    };
    await finished(session.useLink());
    assert.deepEqual([session.state, session.token], ['failed', 'token-1']);
    answer = good;
    await started(session);
    assert.deepEqual([session.state, session.token], ['signed-in', 'token-2']);
  });

  it('is made once by tabs that open together', async () => {
    let last = Promise.resolve();
    const locks = { request: (_, work) => (last = last.then(work)) };
    const pair = [tab(new Map(), locks), tab(new Map(), locks)];
    await Promise.all(pair.map((session) => started(session, 'good')));
    assert.deepEqual(pair.map(({ token }) => token), ['token-1', 'token-1']);
  });

  it('ends when the server refuses its token, and only its token', async () => {
    const storage = new Map();
    const session = await started(tab(storage), 'good');
    session.refuse('an older token');
    session.refuse(null);
    assert.equal(session.state, 'signed-in');
    session.refuse('token-1');
    assert.deepEqual([session.state, session.token, storage.size], ['ended', null, 0]);
  });

  it('that has died does not stand in the way of the link', async () => {
    const storage = new Map();
    await started(tab(storage), 'good');
    const session = await started(tab(storage), 'good');
    assert.equal(session.token, 'token-1');
    session.refuse('token-1');
    await started(session);
    assert.deepEqual([session.state, session.token], ['signed-in', 'token-2']);
  });

  it('comes back in all tabs when one opens the link again', async () => {
    const [first, second] = [await started(tab(), 'good'), await started(tab(), 'good')];
    first.refuse('token-1');
    second.refuse('token-1');
    await started(second, 'good');
    assert.deepEqual([first.state, first.token], ['signed-in', 'token-2']);
  });

  it('of somebody else is not taken over by a tab whose own has ended', async () => {
    const guest = await started(tab(), 'good');
    guest.refuse('token-1');
    await started(tab(), 'good-admin');
    await started(tab());
    assert.equal(guest.state, 'ended');
  });

  it('tells who listens', async () => {
    const states = [];
    const session = tab();
    const stop = session.subscribe(() => states.push(session.state));
    await started(session, 'good');
    stop();
    session.refuse('token-1');
    assert.deepEqual(states, ['checking', 'signed-in']);
  });
});
