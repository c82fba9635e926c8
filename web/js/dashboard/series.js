/** Statistics for charts: a position per bucket, scales, lines with gaps for missing values. Pure. */

const STEPS = [1, 2, 5, 10];

/** Of fewer values, each is shown as it is. */
const FEW = 10;

/** Minutes between labels. */
const ROUND = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200];

/** In milliseconds: round figures of time. */
const TIMES = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * 1000),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60_000),
  ...[1, 2, 4, 6, 12, 24, 48, 96, 168].map((hours) => hours * 3_600_000),
];

const UNITS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

/**
 * Every bucket from the first to now, in UTC: none is missing or duplicated when the clocks change.
 * @template T
 * @param {{since: string, until: string, bucketMs: number}} span
 * @param {(T & {at: string})[]} found the buckets with data
 * @returns {{at: number, value: T|null}[]}
 */
export function places({ since, until, bucketMs }, found) {
  const byTime = new Map(found.map((bucket) => [Date.parse(bucket.at), bucket]));
  const all = [];
  for (let at = Date.parse(since); at <= Date.parse(until); at += bucketMs) {
    all.push({ at, value: byTime.get(at) ?? null });
  }
  return all;
}

/** Round figures from 0 on, the last of which is not below `most`. @param {number} most @returns {number[]} */
export function countTicks(most) {
  if (!(most > 0)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 3));
  const step = Math.max(1, STEPS.map((step) => step * power).find((step) => step * 4 >= most));
  return ticks(step, most);
}

/** The same for milliseconds. @param {number} most @returns {number[]} */
export function timeTicks(most) {
  if (!(most > 0)) return [0, 1000];
  return ticks(TIMES.find((step) => step * 4 >= most) ?? TIMES.at(-1) * Math.ceil(most / 4 / TIMES.at(-1)), most);
}

/**
 * Where a scale ends: a few spikes are cut off, so that they do not flatten the rest.
 * @param {number[]} values
 */
export function scaleEnd(values) {
  const sorted = values.filter((value) => value > 0).toSorted((a, b) => a - b);
  const most = sorted.at(-1) ?? 0;
  const usual = sorted[Math.floor(0.9 * (sorted.length - 1))] ?? 0;
  return sorted.length >= FEW && most > 4 * usual ? 2 * usual : most;
}

/**
 * How many per minute, hour or day: the shortest of these in which there is one at least.
 * @param {number} count @param {number} span in milliseconds @returns {[number, string]}
 */
export function rateOf(count, span) {
  const rates = Object.entries(UNITS).map(([unit, length]) => [span > 0 ? (count * length) / span : 0, unit]);
  return rates.find(([rate]) => rate >= 1) ?? (count > 0 ? rates.at(-1) : rates[0]);
}

/**
 * Runs of neighbours that have a value. A gap is a gap, not a zero.
 * @param {(number|null)[]} values
 * @returns {[number, number][][]} runs of [index, value]
 */
export function runs(values) {
  const found = [];
  let open = null;
  values.forEach((value, index) => {
    if (!isDuration(value)) {
      open = null;
      return;
    }
    if (!open) found.push((open = []));
    open.push([index, value]);
  });
  return found;
}

/** Whether this can be a duration at all. @param {unknown} value */
export const isDuration = (value) => typeof value === 'number' && value >= 0 && Number.isFinite(value);

/** The positions that get a label, so that labels are at least `apart`. @returns {number[]} */
export function labelled(count, width, apart) {
  const step = Math.max(1, Math.ceil(count / Math.max(1, Math.floor(width / apart))));
  return Array.from({ length: Math.ceil(count / step) }, (_, index) => index * step);
}

/**
 * The positions at round times of day in this zone: at most `most`.
 * @param {{at: number}[]} places @returns {number[]}
 */
export function roundTimes(places, most) {
  const apart = (places.at(-1).at - places[0].at) / most;
  const step = ROUND.find((minutes) => minutes * 60_000 >= apart) ?? ROUND.at(-1);
  const isRound = (at) => (at / 60_000 - new Date(at).getTimezoneOffset()) % step === 0;
  return [...places.keys()].filter((index) => isRound(places[index].at));
}

function ticks(step, most) {
  const count = Math.max(1, Math.ceil(most / step));
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}
