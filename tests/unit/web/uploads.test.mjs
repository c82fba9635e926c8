// Files on their way to the storage.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ApiError } from '../../../web/js/api.js';
import { Upload, freeName } from '../../../web/js/demo-page/uploads.js';

describe('the name of a file', () => {
  const names = (...wanted) => {
    const taken = new Set();
    return wanted.map((name) => {
      const free = freeName(name, taken);
      taken.add(free);
      return free;
    });
  };

  it('stays what it is where the server takes it', () => {
    assert.deepEqual(names('a b.txt', '\u00e4\u4e2d.tar.gz', '.env'), ['a b.txt', '\u00e4\u4e2d.tar.gz', '.env']);
  });

  it('is cut between characters', () => {
    const [cut] = names(`${'a'.repeat(199)}\u{1f600}\u{1f600}.txt`);
    assert.equal(cut, `${'a'.repeat(199)}\u{1f600}.txt`);
    assert.ok(cut.isWellFormed());
  });

  it('loses what cannot be printed, and folders', () => {
    const odd = names('Screenshot 9.00\u202fAM.png', 'evil\u202egpj.exe', 'a/b\\c.txt', 'tab\there', 'e\u0301.txt', '\u200b');
    assert.deepEqual(odd, ['Screenshot 9.00 AM.png', 'evil_gpj.exe', 'a_b_c.txt', 'tab_here', '\u00e9.txt', '_']);
  });

  it('is told apart from the same name', () => {
    assert.deepEqual(names('a.txt', 'a.txt', 'a.txt', 'a (2).txt'), ['a.txt', 'a (2).txt', 'a (3).txt', 'a (2) (2).txt']);
  });

  it('is cut to a length that the server takes', () => {
    assert.ok(names(`${'x'.repeat(900)}.${'y'.repeat(90)}`)[0].length <= 400);
  });
});

describe('an upload', () => {
  const files = (count) => Array.from({ length: count }, (_, index) => ({ name: `f${index}`, file: new Blob(['12345']) }));

  function uploadOf(count, put) {
    const log = { reserved: 0, put: [], most: 0, now: 0 };
    const upload = new Upload({
      files: files(count),
      reserve: async (wanted) => {
        log.reserved += 1;
        const prefix = `p${log.reserved}/`;
        return { container: 'uploads', prefix, files: wanted.map(({ name }) => ({ name, url: prefix + name, headers: {} })) };
      },
      put: async (target, file, options) => {
        log.put.push(target.url);
        log.most = Math.max(log.most, (log.now += 1));
        try {
          await new Promise((resolve) => setImmediate(resolve));
          await put?.(target, file, options);
        } finally {
          log.now -= 1;
        }
      },
      onProgress: () => {},
    });
    return { upload, log };
  }

  it('sends each file once, several at once', async () => {
    const { upload, log } = uploadOf(11);
    assert.deepEqual(await upload.run(), { container: 'uploads', prefix: 'p1/' });
    assert.equal(new Set(log.put).size, 11);
    assert.equal(log.put.length, 11);
    assert.equal(log.most, 4);
    assert.deepEqual([upload.sent, upload.size], [55, 55]);
  });

  it('sends only what is missing the next time', async () => {
    let broken = true;
    const { upload, log } = uploadOf(6, async ({ name }) => {
      if (broken && ['f1', 'f4'].includes(name)) throw new ApiError({ status: 503 });
    });
    assert.equal(await upload.run(), null);
    assert.deepEqual([upload.count('failed'), upload.count('uploaded')], [2, 4]);
    broken = false;
    log.put.length = 0;
    assert.deepEqual(await upload.run(), { container: 'uploads', prefix: 'p1/' });
    assert.deepEqual(log.put.sort(), ['p1/f1', 'p1/f4']);
  });

  it('asks for a new place when its links have expired, and sends everything there', async () => {
    let expired = true;
    const { upload, log } = uploadOf(3, async ({ name }) => {
      if (expired && name === 'f2') throw new ApiError({ status: 403 });
    });
    assert.equal(await upload.run(), null);
    expired = false;
    log.put.length = 0;
    assert.deepEqual(await upload.run(), { container: 'uploads', prefix: 'p2/' });
    assert.deepEqual(log.put.sort(), ['p2/f0', 'p2/f1', 'p2/f2']);
  });

  it('breaks off and goes on', async () => {
    const { upload, log } = uploadOf(9, async (target, file, { signal, onProgress }) => {
      onProgress(3);
      if (signal.aborted) throw new ApiError({});
    });
    const running = upload.run();
    await new Promise((resolve) => queueMicrotask(resolve));
    upload.stop();
    assert.equal(await running, null);
    assert.equal(upload.count('failed'), 0);
    assert.ok(log.put.length <= 4);
    assert.deepEqual(await upload.run(), { container: 'uploads', prefix: 'p1/' });
  });

  it('fails as a whole when there is no place', async () => {
    const upload = new Upload({
      files: files(1),
      reserve: async () => {
        throw new ApiError({ status: 422, detail: 'Too large.' });
      },
      onProgress: () => {},
    });
    await assert.rejects(upload.run(), { detail: 'Too large.' });
    assert.equal(upload.count('waiting'), 1);
  });
});
