/** The states of each element: the server's answers, and the way to reach them. */

import { register } from '../js/renderers/registry.js';
import { ADMIN_JOBS, DETAIL, EMITTING, FAILURES, JOBS, LONG_JOBS, ODD_ADMIN_JOBS, ODD_JOBS, OPTIONS, OUTPUTS, QUEUES, REQUEST_SCHEMA, SCHEDULES, STATS, STATUS_COUNTS, WORKERS, mine } from './data.js';

/** Resolves with what the test finds, as soon as it does. */
export const soon = (test) => new Promise((done, fail) => {
  const began = setTimeout(() => fail(new Error('The state was not reached.')), 60_000);
  const look = () => (test() ? (clearTimeout(began), done(test())) : requestAnimationFrame(look));
  look();
});

const press = async (shadow, place) => (await soon(() => shadow.querySelector(place))).click();
const open = async (bell, shadow) => {
  await press(shadow, '.bell');
  await soon(() => shadow.querySelector('.panel:popover-open'));
};
const openWith = (count) => async (bell, shadow) => {
  await open(bell, shadow);
  await soon(() => shadow.querySelectorAll('.row').length === count);
};
const jobs = { 'GET /jobs/mine': mine(JOBS) };
const every = openWith(JOBS.length);

const BELL = {
  closed: { answers: jobs, reach: (bell, shadow) => soon(() => !shadow.querySelector('.badge').hidden) },
  empty: { answers: { 'GET /jobs/mine': mine([]) }, reach: async (bell, shadow) => {
    await open(bell, shadow);
    await soon(() => shadow.querySelector('.empty').dataset.loading === 'false');
  } },
  loading: { answers: { '*': null }, reach: open },
  'every-status': { answers: jobs, reach: every },
  details: { answers: jobs, reach: async (bell, shadow) => {
    await every(bell, shadow);
    for (const button of shadow.querySelectorAll('.unfold')) if (!button.hidden) button.click();
    for (const details of shadow.querySelectorAll('details')) details.open = true;
  } },
  'not-done': { answers: { ...jobs, '*': 0 }, reach: async (bell, shadow) => {
    await every(bell, shadow);
    for (const name of ['retry', 'download', 'cancel']) [...shadow.querySelectorAll(`.row .${name}`)].find((each) => !each.hidden).click();
    await soon(() => [...shadow.querySelectorAll('.row .note')].filter((note) => !note.hidden).length === 3);
  } },
  'long-texts': { answers: { 'GET /jobs/mine': mine(LONG_JOBS) }, reach: openWith(LONG_JOBS.length) },
  'odd-contents': { answers: { 'GET /jobs/mine': mine(ODD_JOBS, { unseen: 10_000 }) }, reach: openWith(ODD_JOBS.length) },
  output: {
    answers: {
      'GET /jobs/mine': mine(EMITTING),
      ...Object.fromEntries(EMITTING.map(({ id }, index) => [`GET /jobs/${id}/stream`, OUTPUTS[index]])),
    },
    reach: async (bell, shadow) => {
      register('gallery-writer', { stream: 'story' });
      await openWith(EMITTING.length)(bell, shadow);
      (await soon(() => shadow.querySelector('.live-head:not([hidden]) .unfold'))).click();
      [...shadow.querySelectorAll('.meta .unfold')].at(-1).click();
      shadow.querySelector('.scroller').scrollTop = 10_000;
      await soon(() => [...shadow.querySelectorAll('.output')].filter((each) => each.checkVisibility()).length === 3);
    },
  },
  undo: {
    answers: { ...jobs, 'POST /jobs/clear-finished': { cleared: JOBS.filter(({ finishedAt }) => finishedAt).map(({ id }) => ({ id, version: 6 })), clearedAt: JOBS[0].createdAt } },
    reach: async (bell, shadow) => {
      await every(bell, shadow);
      [...shadow.querySelectorAll('.group button')].at(-1).click();
      await soon(() => !shadow.querySelector('.undo').hidden);
      // So that it stays.
      shadow.querySelector('.undo button').focus();
    },
  },
  toasts: { answers: { 'GET /jobs/mine': () => mine(globalThis.gallery.tracked ?? []) }, reach: async (bell, shadow) => {
    await soon(() => bell.feed?.store.loaded && shadow.querySelector('.toasts'));
    Object.defineProperty(document, 'hidden', { value: true });
    gallery.tracked = [JOBS[6], JOBS[8], JOBS[4]];
    for (const job of gallery.tracked) {
      bell.track({ ...job, status: 'running', version: 1, actions: [] });
      bell.track(job);
    }
    await soon(() => shadow.querySelectorAll('.toast').length === 3);
  } },
  'live-updates-off': { answers: jobs, isOffline: true, reach: async (bell, shadow) => {
    await every(bell, shadow);
    await soon(() => shadow.querySelector('[data-state="off"]'));
  } },
  stale: { answers: { 'GET /jobs/mine': 503 }, reach: async (bell, shadow) => {
    await open(bell, shadow);
    await soon(() => shadow.querySelector('[data-state="stale"]'));
  } },
  'signed-out': { answers: {}, isSignedOut: true, reach: open },
};

const admin = {
  'GET /jobs/mine': mine([]),
  'GET /admin/options': OPTIONS,
  'GET /admin/jobs': { items: ADMIN_JOBS, nextBefore: '1' },
  'GET /admin/jobs/count': { number: 1371, exact: true },
  'GET /admin/jobs/statuses': { counts: STATUS_COUNTS },
  [`GET /admin/jobs/${DETAIL.id}`]: DETAIL,
  'GET /admin/stats': STATS,
  'GET /admin/failures': FAILURES,
  'GET /admin/queues': QUEUES,
  'GET /admin/schedules': SCHEDULES,
  'GET /admin/workers': WORKERS,
  'GET /admin/kinds/packer/request-schema': REQUEST_SCHEMA,
  '*': 404,
};
const NO_COUNTS = Object.fromEntries(Object.keys(STATUS_COUNTS).map((status) => [status, { number: 0, exact: true }]));
const has = (place, count = 1) => (dashboard, shadow) => soon(() => shadow.querySelectorAll(place).length >= count);
const table = async (dashboard, shadow, count = ADMIN_JOBS.length) => {
  await has('table.jobs tbody tr', count)(dashboard, shadow);
  await soon(() => shadow.querySelector('.number').textContent);
};

const DASHBOARD = {
  list: { answers: admin, reach: table },
  filtered: { answers: admin, query: 'status=failed&status=aborted&kind=packer&attemptsOver=2', reach: table },
  selection: { answers: admin, reach: async (dashboard, shadow) => {
    await table(dashboard, shadow);
    for (const index of [1, 3]) shadow.querySelectorAll('tbody input')[index].click();
  } },
  'odd-contents': {
    answers: { ...admin, 'GET /admin/jobs': { items: ODD_ADMIN_JOBS, nextBefore: null } },
    reach: (dashboard, shadow) => table(dashboard, shadow, ODD_ADMIN_JOBS.length),
  },
  'odd-job': {
    answers: { ...admin, [`GET /admin/jobs/${ODD_ADMIN_JOBS[1].id}`]: { ...DETAIL, ...ODD_ADMIN_JOBS[1] } },
    query: `job=${ODD_ADMIN_JOBS[1].id}`,
    reach: has('.attempts li', 2),
  },
  'more-filters': { answers: admin, reach: async (dashboard, shadow) => {
    await table(dashboard, shadow);
    shadow.querySelector('.first .drops').click();
  } },
  actions: { answers: admin, query: 'status=failed', reach: async (dashboard, shadow) => {
    await table(dashboard, shadow);
    shadow.querySelector('.toolbar .drops').click();
  } },
  empty: { answers: { ...admin, 'GET /admin/jobs': { items: [], nextBefore: null }, 'GET /admin/jobs/count': { number: 0, exact: true }, 'GET /admin/jobs/statuses': { counts: NO_COUNTS } }, reach: has('.blank') },
  job: { answers: admin, query: `job=${DETAIL.id}`, reach: has('.attempts li', 2) },
  'job-output': {
    answers: { ...admin, [`GET /admin/jobs/${DETAIL.id}`]: { ...DETAIL, status: 'running', error: null }, [`GET /admin/jobs/${DETAIL.id}/stream`]: OUTPUTS[0] },
    query: `job=${DETAIL.id}`,
    reach: async (dashboard, shadow) => {
      await has('.output .line', 30)(dashboard, shadow);
      shadow.querySelector('.output').focus();
    },
  },
  'no-job': { answers: admin, query: 'job=0193799a-0000-7000-9000-ffffffffffff', reach: has('dialog[open] .blank') },
  bulk: { answers: admin, query: 'status=failed', reach: async (dashboard, shadow) => {
    await table(dashboard, shadow);
    shadow.querySelector('button.retry.quiet').click();
    await soon(() => shadow.querySelectorAll('dialog[open]').length);
  } },
  failures: { answers: admin, query: 'view=failures', reach: has('table.groups tbody tr', 2) },
  statistics: { answers: admin, query: 'view=statistics', reach: has('figure svg .line', 6) },
  queues: { answers: admin, query: 'view=queues', reach: has('table.queues tbody tr', 2) },
  operations: { answers: admin, query: 'view=operations', reach: async (dashboard, shadow) => {
    await has('table tbody tr', 6)(dashboard, shadow);
    const kinds = shadow.querySelector('#start-kind');
    kinds.value = 'packer';
    kinds.dispatchEvent(new Event('change'));
    await soon(() => shadow.querySelectorAll('.request-field').length === 6);
  } },
  forbidden: { answers: { ...admin, 'GET /admin/options': 403 }, reach: has('.blank') },
  'read-only': { answers: { ...admin, 'GET /admin/options': { ...OPTIONS, canAct: false } }, reach: table },
  unreachable: { answers: { '*': 0 }, reach: has('.blank') },
};

export const STATES = { bell: BELL, dashboard: DASHBOARD };
