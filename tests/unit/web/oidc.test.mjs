// An identity provider that answers badly or never: the page uses its token until it expires, and never waits for ever.

import assert from 'node:assert/strict';
import { after, beforeEach, describe, it, mock } from 'node:test';

const ISSUER = 'https://id.example';
const KEY = 'queued-jobs.oidc';
const STARTED = 1_800_000_000_000;

const kept = new Map();
globalThis.location = { href: 'https://page.example/', pathname: '/', search: '', hash: '' };
globalThis.history = { state: null, replaceState() {} };
globalThis.sessionStorage = {
  getItem: (key) => kept.get(key) ?? null,
  setItem: (key, value) => kept.set(key, value),
  removeItem: (key) => kept.delete(key),
};
globalThis.BroadcastChannel = class {
  postMessage() {}
};
const { OidcSession } = await import('../../../web/js/sign-in/oidc.js');

const json = (value, status = 200) =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json' } });
const DISCOVERED = { issuer: ISSUER, token_endpoint: `${ISSUER}/token`, authorization_endpoint: `${ISSUER}/authorize` };
const TOKENS = { access_token: 'first', token_type: 'bearer', expires_in: 100, refresh_token: 'r2' };

/** Answers of a token endpoint that are none. */
const GARBAGE = {
  'a page': () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
  'broken JSON': () => new Response('{"access_token":', { headers: { 'content-type': 'application/json' } }),
  nothing: () => new Response('', { headers: { 'content-type': 'application/json' } }),
  'a list': () => json([TOKENS]),
  null: () => json(null),
  'no token': () => json({}),
  'a number for a token': () => json({ ...TOKENS, access_token: 5 }),
  'an empty token': () => json({ ...TOKENS, access_token: '' }),
  'a life that is none': () => json({ ...TOKENS, expires_in: 'soon' }),
  'a negative life': () => json({ ...TOKENS, expires_in: -1 }),
  'a refresh token that is none': () => json({ ...TOKENS, refresh_token: {} }),
  'an ID token that is none': () => json({ ...TOKENS, id_token: 'a.b.c' }),
  'an error of the server': () => new Response('oops', { status: 502 }),
  'too many calls': () => json({ detail: 'slow down' }, 429),
  'too many calls, with a code': () => json({ error: 'too_many_requests' }, 429),
  'that it is busy': () => json({ error: 'temporarily_unavailable' }, 400),
  'no connection': () => { throw new TypeError('Failed to fetch'); },
};

describe('a provider', () => {
  let answer;
  let limits;
  let now;

  /** Never answers; fails when its signal says so, as `fetch` does. */
  const never = (_url, { signal }) => new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

  beforeEach(() => {
    mock.restoreAll();
    limits = [];
    now = STARTED;
    mock.method(Date, 'now', () => now);
    mock.method(AbortSignal, 'timeout', (milliseconds) => {
      const limit = new AbortController();
      limits.push({ milliseconds, pass: () => limit.abort(new DOMException('too late', 'TimeoutError')) });
      return limit.signal;
    });
    mock.method(globalThis, 'fetch', (url, options) => answer(String(url), options));
    kept.set(KEY, JSON.stringify({ user: { id: 'ann', display: 'Ann', roles: [] }, refreshToken: 'r1' }));
  });
  after(() => mock.restoreAll());

  /** Wait for a call; each of its requests meets its limit. */
  async function late(call) {
    let waiting = true;
    const done = call.finally(() => (waiting = false));
    done.catch(() => {});
    while (waiting) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const limit of limits) limit.pass();
    }
    return done;
  }

  async function signedIn() {
    answer = (url) => (url.endsWith('/token') ? json(TOKENS) : json(DISCOVERED));
    const session = new OidcSession({ issuer: ISSUER, clientId: 'page', scope: 'openid', parameters: {} });
    await session.start();
    assert.equal(session.state, 'signed-in');
    return session;
  }

  it('that never answers does not keep the page', async () => {
    answer = never;
    const session = new OidcSession({ issuer: ISSUER, clientId: 'page', scope: 'openid', parameters: {} });
    await late(session.start());
    assert.equal(session.state, 'failed');
    assert.deepEqual(limits.map((limit) => limit.milliseconds), [10_000]);
  });

  it('that never renews leaves the token until it expires', async () => {
    const session = await signedIn();
    answer = never;
    now += 90_000;
    assert.equal(await late(session.getToken()), 'first');
    now += 20_000;
    await assert.rejects(late(session.getToken()), { name: 'TimeoutError' });
    assert.equal(session.state, 'signed-in');
  });

  for (const [name, garbage] of Object.entries(GARBAGE)) {
    it(`whose token endpoint returns ${name} ends nothing`, async () => {
      const session = await signedIn();
      answer = garbage;
      now += 90_000;
      assert.equal(await session.getToken(), 'first');
      now += 20_000;
      await assert.rejects(session.getToken());
      answer = () => json({ ...TOKENS, access_token: 'second' });
      assert.equal(await session.getToken(), 'second');
    });
  }

  it('that refuses the session ends it', async () => {
    const session = await signedIn();
    answer = () => json({ error: 'invalid_grant' }, 400);
    now += 90_000;
    assert.equal(await session.getToken(), null);
    assert.equal(session.state, 'ended');
  });
});
