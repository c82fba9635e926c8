// A feed between a server, hubs and a page that a test commands. Import it, and each test has a new one.

import { afterEach, beforeEach, mock } from 'node:test';

import { JobFeed } from '../../../web/js/feed/feed.js';
import { FakeHub, FakePage, fakeFetch, settled } from './fakes.mjs';
import { snapshot } from './jobs.mjs';

export const START = Date.parse('2026-06-01T12:00:00Z');
const realFetch = globalThis.fetch;

export let server;
export let requests;
export let hubs;
export let handlers;
export let page;
export let feed;
export let changes;
export let unsubscribe;

/** What the server knows; tests change it. */
function newServer() {
  return { items: [], retryAfter: null, itemsOf: {}, etag: 1, status: 200, refused: null, hold: null, answers: {} };
}

async function answer({ method, path, url, headers }) {
  if (server.hold) await server.hold.promise;
  if (server.status === 0) return new TypeError('no network');
  if (server.status !== 200) {
    return { status: server.status, body: { detail: 'told by the server' }, retryAfter: server.retryAfter };
  }
  if (headers.authorization === server.refused) return { status: 401 };
  const special = server.answers[`${method} ${path}`];
  if (special) return typeof special === 'function' ? special(url) : special;
  if (path !== '/api/jobs/mine') return { status: 204 };
  const all = server.itemsOf[headers.authorization] ?? server.items;
  const before = url.searchParams.get('before');
  const from = before ? all.findIndex(({ id }) => id === before) + 1 : 0;
  const items = all.slice(from, from + 50);
  const more = all.length > from + 50;
  const etag = `"${server.etag}-${from}"`;
  if (headers['if-none-match'] === etag) return { status: 304 };
  return { body: snapshot(items, { more, nextBefore: more ? items.at(-1).id : null }), etag };
}

export const reads = () => requests.filter(({ path }) => path === '/api/jobs/mine');
export const labels = () => feed.store.list().map(({ label }) => label);
export const ended = () => changes.flatMap((change) => change.ended.map(({ id }) => id));

/** Let time pass in steps, as it does. */
export async function pass(milliseconds, step = 500) {
  for (let left = milliseconds; left > 0; left -= step) {
    mock.timers.tick(Math.min(step, left));
    await settled();
  }
}

export async function signedIn(token = 'token') {
  feed.signIn(async () => token);
  await settled();
}

export async function live() {
  await settled();
  hubs.at(-1).succeed();
  await settled();
}

export function change(...items) {
  server.items = items;
  server.etag += 1;
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: START });
  server = newServer();
  ({ fetch: globalThis.fetch, requests } = fakeFetch(answer));
  hubs = [];
  changes = [];
  page = new FakePage();
  const openHub = (options) => {
    ({ handlers } = options);
    hubs.push(Object.assign(new FakeHub(), options));
    return hubs.at(-1);
  };
  feed = new JobFeed({ base: 'http://here/api', openHub, page });
  unsubscribe = feed.subscribe((change) => changes.push(change));
});

afterEach(() => {
  unsubscribe();
  mock.timers.reset();
  globalThis.fetch = realFetch;
});
