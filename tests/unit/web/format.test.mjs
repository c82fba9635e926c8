// Values to words.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ApiError } from '../../../web/js/api.js';
import { digest } from '../../../web/js/bell/announcer.js';
import { allowedUrl } from '../../../web/js/dom.js';
import { ago, badge, bytes, duration, failure, left, moment, number, plain, share, ticking, took } from '../../../web/js/format.js';
import { strings } from '../../../web/js/strings.en.js';

const table = (format, rows) => {
  for (const [value, expected] of rows) assert.equal(format(value), expected, `of ${value}`);
};

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

describe('durations', () => {
  it('read well at every size', () => {
    table(duration, [
      [0, '0 s'],
      [420, '0.4 s'],
      [9949, '9.9 s'],
      [9951, '10 s'],
      [59_600, '1 min'],
      [3 * MINUTE + 5 * SECOND, '3 min 5 s'],
      [59 * MINUTE + 59.7 * SECOND, '1 h'],
      [2 * HOUR + 10 * MINUTE, '2 h 10 min'],
      [4 * DAY + 3 * HOUR, '4 d 3 h'],
      [YEAR, '1 y'],
      [3.9 * YEAR, '3 y'],
    ]);
  });

  it('that cannot be are a dash', () => {
    table(duration, [null, undefined, NaN, Infinity, -1, -5 * DAY, 1e18, '12'].map((value) => [value, '-']));
  });

  it('tick in whole seconds, never below zero', () => {
    table(ticking, [[-7200 * SECOND, '0 s'], [0, '0 s'], [999, '0 s'], [9999, '9 s'], [61_900, '1 min 1 s'], [NaN, '-']]);
  });

  it('are what people say', () => {
    table(took, [
      [-HOUR, ''],
      [null, ''],
      [NaN, ''],
      [900, ''],
      [34_400, '34 s'],
      [59_700, '1 min'],
      [94 * SECOND, '2 min'],
      [2 * HOUR + 10 * MINUTE + 29 * SECOND, '2 h 10 min'],
      [1e18, ''],
    ]);
  });

  it('that remain are shown once they are not a guess', () => {
    const after = (ran, since) => (progress) => left(progress, ran, since);
    table(after(60 * SECOND, 0), [[null, ''], [0, ''], [0.04, ''], [0.5, '1 min'], [0.9, '10 s'], [1, ''], [NaN, '']]);
    table(after(4 * SECOND, 0), [[0.5, '']]);
    table(after(30 * SECOND, 13 * SECOND), [[0.5, '20 s'], [0.9, '']]);
    table(after(NaN, 0), [[0.5, '']]);
  });

  it('since then', () => {
    table(ago, [
      [-HOUR, 'just now'],
      [3 * SECOND, 'just now'],
      [45 * SECOND, '45 s ago'],
      [2 * MINUTE + 59 * SECOND, '2 min ago'],
      [23 * HOUR, '23 h ago'],
      [40 * DAY, '40 d ago'],
      [2 * YEAR, '2 y ago'],
      [NaN, '-'],
    ]);
  });
});

describe('numbers', () => {
  it('of bytes', () => {
    table(bytes, [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1 kB'],
      [1540, '1.5 kB'],
      [99_600, '100 kB'],
      [999_700, '1 MB'],
      [2_500_000_000, '2.5 GB'],
      [5e15, '5,000 TB'],
      [-1, '-'],
      [NaN, '-'],
      [null, '-'],
    ]);
  });

  it('of things have their thousands apart', () => {
    assert.equal(number(1204), '1,204');
  });

  it('of progress stay between 0 and 100%', () => {
    table(share, [[-1, '0%'], [0.424, '42%'], [7, '100%']]);
  });

  it('above 99 are not counted out', () => {
    table(badge, [[0, '0'], [99, '99'], [100, '99+']]);
  });

  it('of a time that is none are a dash', () => {
    assert.equal(moment('yesterday'), '-');
    assert.notEqual(moment('2026-06-01T00:00:00Z'), '-');
  });
});

describe('texts from outside', () => {
  it('show what would turn or hide them', () => {
    table(plain, [
      ['evil\u202egpj.exe', 'evil[U+202E]gpj.exe'],
      ['a\u0000b\u2066c\ufeff', 'a[U+0000]b[U+2066]c[U+FEFF]'],
      ['two\nlines\tand a tab', 'two\nlines\tand a tab'],
      ['\u0645\u0631\u062d\u0628\u0627', '\u0645\u0631\u062d\u0628\u0627'],
      [null, ''],
      [7, '7'],
    ]);
  });

  it('name the reason of a failure, and advise to try again where that may help', () => {
    const { tryAgain, network, timeout, answer } = strings.failure;
    const text = (fact) => failure('Could not clear', new ApiError(fact));
    assert.equal(text({}), `Could not clear. ${tryAgain} ${network}`);
    assert.equal(text({ timedOut: true }), `Could not clear. ${tryAgain} ${timeout}`);
    assert.equal(text({ status: 500 }), `Could not clear. ${tryAgain} ${answer(500)}`);
    assert.equal(text({ status: 409, detail: 'It runs.' }), 'Could not clear. It runs.');
    assert.equal(text({ status: 429, detail: 'Too many.' }), `Could not clear. ${tryAgain} Too many.`);
  });
});

describe('links', () => {
  const origins = ['http://127.0.0.1:10000', 'https://store.example'];

  it('lead to the storage of this page', () => {
    for (const url of ['https://store.example/a?sig=b', 'http://127.0.0.1:10000/a/b.zip?sig=c']) {
      assert.equal(allowedUrl(url, origins), url);
    }
  });

  it('lead nowhere else', () => {
    const bad = [
      ...['https://other.example/a', 'https://store.example.other.example/', 'https://store.example@other.example/'],
      ...['https://store.example:444/', 'http://store.example/', 'http://127.0.0.1:10001/'],
      ...['blob:https://store.example/a', 'javascript:alert(1)', 'data:text/html,x', '//store.example/a', '/a', ''],
      ...[null, 7, {}, ['https://store.example/']],
    ];
    for (const url of bad) assert.equal(allowedUrl(url, origins), null, String(url));
  });
});

describe('announcements', () => {
  it('are a sentence for one and a digest for many', () => {
    const zip = { title: 'Zip of reports', status: 'succeeded' };
    assert.equal(digest([zip]), 'Zip of reports succeeded');
    assert.equal(digest([zip, { ...zip, status: 'aborted' }, zip]), '3 jobs have ended: 2 succeeded, 1 aborted');
  });
});
