// One hub connection that never gives up and never hurries.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';

import { Connection, retryDelay } from '../../../web/js/feed/connection.js';
import { FakeHub, settled } from './fakes.mjs';

describe('the delay before a further try', () => {
  const bounds = [[1000, 2000], [2000, 4000], [4000, 8000], [8000, 16_000], [27_000, 30_000], [27_000, 30_000]];

  it('grows, is spread, and stays below 30 s', () => {
    bounds.forEach(([low, high], tries) => {
      assert.equal(retryDelay(tries, () => 0), low);
      assert.equal(retryDelay(tries, () => 1), high);
    });
    assert.equal(retryDelay(1000, () => 1), 30_000);
  });

  it('makes at most 25 tries in ten minutes', () => {
    let [time, tries] = [0, 0];
    while ((time += retryDelay(tries, () => 0)) <= 600_000) tries += 1;
    assert.ok(tries <= 25, `${tries} tries`);
  });
});

describe('a connection', () => {
  let hubs;
  let connection;
  let changes;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    hubs = [];
    changes = 0;
    const open = () => {
      hubs.push(new FakeHub());
      return hubs.at(-1);
    };
    connection = new Connection(open, () => (changes += 1));
  });

  afterEach(() => mock.timers.reset());

  it('is live once the hub has started', async () => {
    connection.start();
    assert.equal(connection.live, false);
    hubs[0].succeed();
    await settled();
    assert.deepEqual([connection.live, connection.tries, changes], [true, 0, 1]);
  });

  it('tries for ever when the first start fails', async () => {
    connection.start();
    for (let tries = 1; tries <= 40; tries += 1) {
      hubs.at(-1).fail();
      await settled();
      assert.deepEqual([connection.live, connection.tries, hubs.length], [false, tries, tries]);
      mock.timers.tick(30_000);
    }
    hubs.at(-1).succeed();
    await settled();
    assert.equal(connection.live, true);
  });

  it('comes back after a loss, with a new hub connection', async () => {
    connection.start();
    hubs[0].succeed();
    await settled();
    hubs[0].close();
    assert.deepEqual([connection.live, connection.wasLive], [false, true]);
    mock.timers.tick(2000);
    hubs[1].succeed();
    await settled();
    assert.equal(connection.live, true);
  });

  it('waits longer and longer for a hub that drops each connection at once', async () => {
    connection.start();
    for (let round = 0; round < 5; round += 1) {
      hubs.at(-1).succeed();
      await settled();
      hubs.at(-1).close();
      mock.timers.tick(30_000);
    }
    assert.equal(connection.tries, 5);
    hubs.at(-1).succeed();
    await settled();
    mock.timers.tick(15_000);
    hubs.at(-1).close();
    assert.equal(connection.tries, 1, 'a connection that held starts again');
  });

  it('does not wait when told to hurry', async () => {
    connection.start();
    hubs[0].fail();
    await settled();
    connection.hurry();
    assert.equal(hubs.length, 2);
    connection.hurry();
    assert.equal(hubs.length, 2, 'one try at a time');
  });

  it('is not begun when it is stopped before the client has come', async () => {
    connection.start();
    connection.stop();
    await settled();
    assert.deepEqual([connection.live, hubs[0].started], [false, false]);
  });

  it('tries again when the client does not come', async () => {
    const missing = async () => {
      throw new TypeError('no such module');
    };
    const waiting = new Connection(missing, () => {});
    waiting.start();
    await settled();
    assert.equal(waiting.tries, 1);
    waiting.stop();
  });

  it('is over after stop, whatever the hub still does', async () => {
    connection.start();
    await settled();
    connection.stop();
    hubs[0].succeed();
    hubs[0].close();
    await settled();
    mock.timers.tick(60_000);
    assert.deepEqual([connection.live, hubs.length, hubs[0].stopped], [false, 1, true]);
    connection.start();
    assert.equal(hubs.length, 2);
  });
});
