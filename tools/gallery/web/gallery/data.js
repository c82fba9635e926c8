/** Jobs and figures as the server sends them, always the same. */

import { NOW } from './server.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ENDED = ['succeeded', 'failed', 'cancelled', 'aborted'];
const ACTIONS = {
  pending: ['cancel'], running: ['cancel'], retrying: ['cancel'],
  succeeded: ['clear', 'open'], failed: ['clear', 'retry'], cancelled: ['clear', 'retry'], aborted: ['clear', 'retry'],
};

/** @param {number} ago milliseconds before now */
const at = (ago) => (ago === null ? null : new Date(NOW - ago).toISOString());

let next = 1;

/** @param {string} status @param {string} label @param {object} fields; `started` and `finished` are milliseconds ago */
function job(status, label, { started = null, finished = null, ...fields } = {}) {
  const id = `0193799a-0000-7000-8000-${String((next += 1)).padStart(12, '0')}`;
  const isEnded = ENDED.includes(status);
  return {
    id, kind: 'packer', label, status, version: 5, attempt: 1, maxAttempts: 5, progress: null, progressMessage: null,
    createdAt: at((started ?? 20 * SECOND) + 2 * SECOND), startedAt: at(started), finishedAt: at(isEnded ? finished ?? 0 : null),
    durationMs: isEnded && started !== null ? started - (finished ?? 0) : null, availableAt: null, error: null, result: null,
    cancelRequested: false, paused: false, expiredAt: null, actions: ACTIONS[status], seenAt: null, clearedAt: null, ...fields,
  };
}

const ZIP = { files: 42, bytes: 48_120_000, zipBytes: 31_900_000, skippedCount: 1, skipped: [{ name: 'made.zip', reason: 'It is a zip that was created by this app.' }] };
const CSV = {
  files: 2, columns: ['order', 'date', 'region', 'quantity'], rows: 18_204, imported: 18_201, rejected: 3,
  rejectedLines: [
    { file: 'orders-2026-09.csv', line: 1204, reason: 'The number of fields is 3 instead of 4.' },
    { file: 'orders-2026-09.csv', line: 9310, reason: 'It is not UTF-8.' },
    { file: 'orders-2026-10.csv', line: 77, reason: 'The number of fields is 5 instead of 4.' },
  ],
};
const MISSING = { class: 'FileNotFoundError', message: 'The blob uploads/q3/part-7.csv is not there.' };
const LONG = 'quarterly-report-of-all-regions_'.repeat(3);

/** In every status, newest first. */
export const JOBS = [
  job('pending', 'Zip of drawings'),
  job('running', 'Zip of reports', { started: 48 * SECOND, progress: 0.62, progressMessage: '31 of 50 files' }),
  job('running', 'Zip of site backup', { started: 4 * SECOND }),
  job('retrying', 'Zip of meter readings', { started: MINUTE, attempt: 2, availableAt: at(-30 * SECOND), error: MISSING }),
  job('succeeded', 'Zip of holiday photos', { started: 95 * SECOND, finished: 2 * SECOND, result: ZIP }),
  job('succeeded', 'Import of orders', { kind: 'importer', started: 184 * SECOND, finished: 3 * MINUTE, result: CSV, actions: ['clear'] }),
  job('failed', 'Zip of invoices', { started: 31 * MINUTE, finished: 30 * MINUTE, error: MISSING }),
  job('failed', 'Zip of contracts', { started: 2 * HOUR, finished: HOUR, error: { class: 'KeyError', message: "'part'" }, seenAt: at(0) }),
  job('cancelled', 'Zip of old drafts', { started: 64 * MINUTE, finished: 63 * MINUTE, seenAt: at(0) }),
  job('aborted', 'Zip of tax archive', { started: 3 * HOUR, finished: 2 * HOUR, seenAt: at(0) }),
  job('succeeded', 'Zip of scans', { started: 9 * DAY, finished: 8 * DAY, expiredAt: at(DAY), actions: ['clear'], seenAt: at(0) }),
  job('pending', 'Zip of plans', { paused: true }),
];

export const LONG_JOBS = [
  job('running', `Zip of ${LONG}`, { started: 30 * SECOND, progress: 0.5, progressMessage: LONG }),
  job('failed', `Zip of ${LONG}`, { started: MINUTE, finished: 30 * SECOND, error: { class: LONG, message: LONG.repeat(3) } }),
  job('succeeded', 'Zip of evil\u202egpj.exe', { started: 50 * SECOND, finished: 40 * SECOND, result: ZIP }),
  job('succeeded', 'Zip of \u062a\u0642\u0631\u064a\u0631 \u0627\u0644\u0634\u0647\u0631', { started: 2 * DAY, finished: DAY, result: ZIP }),
];

const ODD_TEXTS = {
  'no space': 'x'.repeat(500),
  emoji: '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}\u{1f1e9}\u{1f1ea}'.repeat(60),
  arabic: '\u062a\u0642\u0631\u064a\u0631 \u0627\u0644\u0634\u0647\u0631 '.repeat(40),
  marks: `e${'\u0301\u0302\u0303\u0323\u0324'.repeat(8)} `.repeat(40),
  breaks: 'first line\n\n\n\tsecond line\r\n\t\tthird line '.repeat(12),
  html: '<img src=x onerror=alert(1)><b>bold</b></td><script>alert(1)</script>&lt;b&gt;',
};
const ODD_TIMES = [
  { createdAt: at(-2 * HOUR), started: -2 * HOUR, finished: -3 * HOUR, durationMs: -HOUR },
  { started: 366 * DAY, finished: 365 * DAY },
  { createdAt: 'no time', startedAt: '', finishedAt: 'no time' },
];
const ODD_PROGRESS = [0, 1, 1e9, -1, Number.NaN, 'half'];

/** What no job should have, but one may: texts, times and shares that break a careless page. */
export const ODD_JOBS = Object.values(ODD_TEXTS).flatMap((text, index) => [
  job('running', text, { progress: ODD_PROGRESS[index], progressMessage: text, ...ODD_TIMES[index % 3] }),
  job('failed', text, { error: { class: text, message: text }, ...ODD_TIMES[index % 3] }),
  job('succeeded', text, { result: ZIP, ...ODD_TIMES[index % 3] }),
]);

const chunk = (seq, topic, text, skipped = 0) => ({ seq, topic, text, skipped, emittedAt: at(0) });
const read = (chunks, omitted = false) => ({ chunks, after: chunks.at(-1)?.seq ?? 0, more: false, omitted });

/** Jobs that emit, and one that has: lines of a log, some of them long or from right to left, and a text that flows. */
export const EMITTING = [
  job('running', 'Import of readings', { kind: 'importer', started: 40 * SECOND, progress: 0.4, progressMessage: 'file 2 of 5' }),
  job('running', 'A story about the sea', { kind: 'gallery-writer', started: 12 * SECOND, progress: 0.3 }),
  job('succeeded', 'Import of orders', { kind: 'importer', started: 184 * SECOND, finished: 3 * MINUTE, result: CSV, actions: ['clear'] }),
];
const LINES = Array.from({ length: 30 }, (_, index) => chunk(index + 4, 'log', `readings-2.csv: ${(index + 1) * 1000} rows imported`));
const STORY = 'Once the sea was small enough to be carried home in a bucket. '.repeat(9);
export const OUTPUTS = [
  read([
    chunk(3, 'log', `connected to the server of <b>readings</b>, ${LONG}`), ...LINES,
    chunk(40, 'warnings', 'Line 7 has no unit. '), chunk(41, 'warnings', 'Line 9 has no unit.'),
    chunk(42, 'log', '\u062a\u0645 \u0627\u0633\u062a\u064a\u0631\u0627\u062f 31000 \u0635\u0641\u060c evil\u202egpj.exe', 12),
    chunk(43, 'log', `readings-3.csv: looking for its columns in ${LONG}`),
  ], true),
  read([chunk(1, 'story', STORY.slice(0, 200)), chunk(2, 'story', STORY.slice(200))]),
  read([chunk(1, 'log', 'orders-2026-09.csv has 9 102 rows'), chunk(2, 'log', 'orders-2026-10.csv has 9 102 rows')]),
];

export const mine = (items, fields) => ({
  items, more: false, nextBefore: null, serverTime: at(0),
  unseen: items.filter((each) => ENDED.includes(each.status) && !each.seenAt).length,
  running: items.filter((each) => !ENDED.includes(each.status)).length,
  ...fields,
});

const USERS = ['guest:5f0c1d2e', 'ada@example.com', 'bob@example.com', 'guest:77aa00b1'];
const NAMES = [null, 'Ada Lovelace', 'Bartholomew Featherstonehaugh-Cholmondeley of the Western Archive', 'Guest 00b1'];

const forAdmins = ({ result, seenAt, clearedAt, ...shown }, fields) => (
  { ...shown, queue: shown.kind, actions: shown.actions.filter((action) => action !== 'clear' && action !== 'open'), ...fields });

/** The same jobs for admins. */
export const ADMIN_JOBS = Array.from({ length: 24 }, (_, index) => {
  const one = JOBS[(index * 5) % JOBS.length];
  return forAdmins(one, {
    id: `0193799a-0000-7000-9000-${String(index).padStart(12, '0')}`,
    createdAt: at(index * 3 * MINUTE + 20 * SECOND), userId: USERS[index % USERS.length], userName: NAMES[index % USERS.length],
    waitMs: one.startedAt ? 800 + 950 * index : null,
  });
});

export const ODD_ADMIN_JOBS = ODD_JOBS.map((one) =>
  forAdmins(one, { userId: 'odd', userName: one.label.slice(0, 256), kind: one.label.slice(0, 64), waitMs: one.durationMs }));

const TRACE = 'Traceback (most recent call last):\n  File "jobs/packer.py", line 61, in run\n    blob = await ctx.read(name)\nFileNotFoundError: uploads/q3/part-7.csv';

export const DETAIL = {
  ...ADMIN_JOBS.find(({ status }) => status === 'failed'),
  attempt: 2, error: { ...MISSING, traceback: TRACE },
  attempts: [1, 2].map((attempt) => ({
    attempt, outcome: 'failed', dueAt: at((40 - attempt) * MINUTE + 3 * SECOND), startedAt: at((40 - attempt) * MINUTE),
    endedAt: at((40 - attempt) * MINUTE - 12 * SECOND), workerId: `worker-${attempt}`, error: { ...MISSING, traceback: TRACE },
  })),
  request: { value: { prefix: 'q3/', name: 'invoices' }, beginning: null, bytes: 40 },
  result: null, workerId: 'worker-2', lostCount: 0, sentGen: 2, dispatchGen: 2, uniqueKey: null, parentId: null,
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', schemaVersion: 1,
};

const BUCKETS = 96;
const BUCKET = 15 * MINUTE;
const percentiles = (p50) => ({ p50, p95: p50 * 3, p99: p50 * 5 });
const places = Array.from({ length: BUCKETS }, (_, index) => index).filter((index) => index < 30 || index > 36);
const wave = (index) => Math.round(14 + 10 * Math.sin(index / 7));

const total = {
  created: 1371, succeeded: 1204, retried: 60, failed: 37, running: 3, waiting: 12, delayed: 4, waitingSince: at(95 * SECOND),
  wait: percentiles(1200), run: percentiles(8400),
};

/** A day, with a spike and a gap. */
export const STATS = {
  since: at(BUCKETS * BUCKET), until: at(0), bucketMs: BUCKET, durationsBucketMs: BUCKET, exact: false, total,
  kinds: ['packer', 'importer'].map((kind) => ({ ...total, kind })),
  buckets: places.map((index) => ({
    at: at((BUCKETS - index) * BUCKET), created: wave(index), succeeded: index === 70 ? 640 : wave(index), retried: index % 9 === 0 ? 4 : 0,
    failed: index % 13 === 0 ? 3 : 0,
  })),
  durations: places.map((index) => ({
    at: at((BUCKETS - index) * BUCKET), wait: percentiles(900 + 40 * wave(index)), run: percentiles(index === 52 ? 400_000 : 6000 + 200 * wave(index)),
  })),
};

export const FAILURES = {
  since: at(DAY), more: false,
  groups: [
    { class: 'FileNotFoundError', message: 'The blob uploads/<text> is not there.', failures: 31, kinds: ['packer'], firstAt: at(20 * HOUR), lastAt: at(30 * MINUTE), example: DETAIL.id },
    { class: 'HTTPStatusError', message: "Server error '503 Service Unavailable' for url <text>", failures: 6, kinds: ['packer', 'importer'], firstAt: at(5 * HOUR), lastAt: at(2 * HOUR), example: DETAIL.id },
  ],
};

export const QUEUES = {
  queues: [
    { queue: 'packer', kind: 'packer', messages: 12, waiting: 12, oldestWaitingAt: at(95 * SECOND), waitingSince: at(95 * SECOND), running: 2, delayed: 4, poison: 0, pausedAt: at(5 * MINUTE), pausedBy: 'ada@example.com' },
    { queue: 'importer', kind: 'importer', messages: 0, waiting: 0, oldestWaitingAt: null, waitingSince: null, running: 1, delayed: 0, poison: 3, pausedAt: null, pausedBy: null },
  ],
};

export const SCHEDULES = {
  schedules: [
    { kind: 'importer', expression: '0 30 3 * * *', lastAt: at(8.5 * HOUR), nextAt: at(-15.5 * HOUR) },
    { kind: 'packer', expression: '0 0 0 1 1 *', lastAt: null, nextAt: at(-31 * DAY) },
  ],
};

export const WORKERS = {
  more: false,
  running: ADMIN_JOBS.filter(({ status }) => status === 'running').map(({ id, kind }, index) => ({
    workerId: `host-${index % 2}:4711`, id, kind, attempt: 1 + (index % 2), startedAt: at((20 + 50 * index) * SECOND),
    heartbeatAt: at(index * 12 * SECOND), leaseUntil: at((index * 12 - 60) * SECOND), isOverdue: index === 3,
  })),
};

export const REQUEST_SCHEMA = {
  kind: 'packer',
  jsonSchema: {
    type: 'object',
    required: ['prefix'],
    properties: {
      prefix: { type: 'string', title: 'Prefix', description: 'Below it are the uploads of the user.' },
      name: { anyOf: [{ type: 'string', maxLength: 80 }, { type: 'null' }], default: null, title: 'Name' },
      level: { enum: ['fast', 'small'], default: 'fast', title: 'Level', type: 'string' },
      files: { type: 'array', items: { type: 'string' }, default: [], title: 'Files' },
      limits: { type: 'object', title: 'Limits', additionalProperties: { type: 'integer' }, default: { bytes: 1000 } },
    },
  },
};

export const OPTIONS = { canAct: true, kinds: ['importer', 'packer'], queues: ['importer', 'packer'], mostRows: 10_000 };

const counted = (number, exact = true) => ({ number, exact });

export const STATUS_COUNTS = {
  pending: counted(16), running: counted(3), retrying: counted(5), succeeded: counted(1000, false), failed: counted(37),
  cancelled: counted(0), aborted: counted(2),
};
