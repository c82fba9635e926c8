/** The dashboard's state in the page's URL: view, filters, place in the list, open job. Pure. */

export const VIEWS = ['jobs', 'failures', 'statistics', 'queues', 'operations'];
export const STATUSES = ['pending', 'running', 'retrying', 'succeeded', 'failed', 'cancelled', 'aborted'];

/** The selectable periods, with buckets that the server keeps for at least that time. In minutes. */
export const WINDOWS = {
  '1h': { minutes: 60, bucketMinutes: 1 },
  '24h': { minutes: 1440, bucketMinutes: 30 },
  '7d': { minutes: 10_080, bucketMinutes: 180 },
  '30d': { minutes: 43_200, bucketMinutes: 1440 },
  '90d': { minutes: 129_600, bucketMinutes: 1440 },
};

const DAY = 86_400_000;
const WORD = /^.{1,200}$/su;

/** Parsers by name: the value of a text in the URL; undefined if it is not valid. */
const READERS = {
  kind: word,
  user: word,
  userName: word,
  queue: word,
  error: word,
  text: word,
  id: (text) => (/^[0-9a-f]{1,32}$/i.test(text.replaceAll('-', '')) ? text.toLowerCase() : undefined),
  from: (text) => moment(text, 0),
  // A day as the end is inclusive.
  to: (text) => moment(text, DAY),
  attemptsOver: (text) => (/^\d{1,4}$/.test(text) ? Number(text) : undefined),
};
export const FILTERS = Object.keys(READERS);

const OTHERS = {
  view: (text) => (VIEWS.includes(text) ? text : undefined),
  window: (text) => (Object.hasOwn(WINDOWS, text) ? text : undefined),
  before: (text) => (/^\d{1,17}\.[0-9a-f]{32}$/.test(text) ? text : undefined),
  job: (text) => (/^[0-9a-f-]{1,36}$/i.test(text) ? text : undefined),
};
const NAMES = ['status', ...FILTERS, ...Object.keys(OTHERS)];

/** @type {import('../types.d.ts').DashboardState} */
export const START = { view: 'jobs', window: '24h', filters: {}, before: null, job: null };

/**
 * Parse a URL. Invalid parts are ignored and listed.
 * @param {string} search as in `location.search`
 * @returns {{state: import('../types.d.ts').DashboardState, ignored: string[]}}
 */
export function readAddress(search) {
  const query = new URLSearchParams(search);
  const ignored = [];
  const read = (name, reader) => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = reader(text);
    if (value === undefined) ignored.push(`${name}=${text}`);
    return value;
  };
  const filters = {};
  const statuses = query.getAll('status');
  const known = STATUSES.filter((status) => statuses.includes(status));
  if (known.length > 0) filters.status = known;
  for (const status of statuses) if (status && !STATUSES.includes(status)) ignored.push(`status=${status}`);
  for (const name of FILTERS) {
    const value = read(name, READERS[name]);
    if (value !== undefined) filters[name] = value;
  }
  if (filters.from && filters.to && filters.from >= filters.to) {
    ignored.push(`to=${query.get('to')}`);
    delete filters.to;
  }
  const state = { ...START, filters };
  for (const [name, reader] of Object.entries(OTHERS)) state[name] = read(name, reader) ?? START[name];
  return { state, ignored };
}

/**
 * The URL of a state. Other parameters are kept.
 * @param {string} search the present one
 * @param {import('../types.d.ts').DashboardState} state
 */
export function writeAddress(search, state) {
  const query = new URLSearchParams(search);
  for (const name of NAMES) query.delete(name);
  for (const name of ['view', 'window', 'before', 'job']) {
    if (state[name] !== START[name]) query.set(name, state[name]);
  }
  for (const [name, value] of filterQuery(state.filters)) query.append(name, value);
  const text = query.toString();
  return text ? `?${text}` : '';
}

/** Filters as the API takes them. @param {import('../types.d.ts').Filters} filters */
export function filterQuery(filters) {
  const query = new URLSearchParams();
  for (const status of filters.status ?? []) query.append('status', status);
  for (const name of FILTERS) if (filters[name] !== undefined) query.set(name, filters[name]);
  return query;
}

/** Convert form values to filters: empty ones are omitted. @returns {import('../types.d.ts').Filters} */
export function filtersOf(values) {
  const query = new URLSearchParams();
  for (const status of values.status) query.append('status', status);
  for (const name of FILTERS) if (values[name]) query.set(name, values[name]);
  return readAddress(`?${query}`);
}

function word(text) {
  return WORD.test(text) && !text.includes('\0') ? text : undefined;
}

/** ISO 8601 in UTC. A date alone is a day in UTC, so that it means the same everywhere. */
function moment(text, dayAdds) {
  // An unescaped plus sign has become a space.
  const given = text.replace(' ', '+');
  const [, day, clock] = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(given) ?? [];
  // 30 February would be read as 2 March.
  if (!day || !isoOf(Date.parse(day)).startsWith(day)) return undefined;
  const iso = isoOf(Date.parse(given) + (clock ? 0 : dayAdds));
  return /^(?!0000)\d{4}-/.test(iso) ? iso : undefined;
}

const isoOf = (time) => (Number.isFinite(time) ? new Date(time).toISOString() : '');
