/** Values as text: durations, sizes, times, and untrusted texts of jobs. Pure. */

import { strings } from './strings.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;
const ABSURD = 100 * YEAR;
const STEPS = Object.entries({ year: YEAR, day: DAY, hour: HOUR, minute: MINUTE, second: SECOND });
const TOO_MANY = 429;

const whole = new Intl.NumberFormat(strings.locale, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(strings.locale, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(strings.locale, { style: 'percent' });
const clock = new Intl.DateTimeFormat(strings.locale, { timeStyle: 'medium', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(strings.locale, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });

/** Control characters and those that turn or hide text: a file name must not look like another one. */
const DECEPTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Untrusted text for display: characters that would turn or hide it are made visible. @param {unknown} text */
export function plain(text) {
  return String(text ?? '').replace(DECEPTIVE, (character) =>
    strings.hiddenCharacter(character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')));
}

/**
 * "0.4 s", "12 s", "3 min 5 s", "2 h 10 min", "4 d 3 h", "1 y"; "-" for what cannot be a duration.
 * @param {number|null|undefined} milliseconds
 */
export function duration(milliseconds) {
  if (typeof milliseconds !== 'number' || !(milliseconds >= 0 && milliseconds < ABSURD)) return strings.none;
  const { units } = strings;
  if (milliseconds < 9.95 * SECOND) return `${short.format(milliseconds / SECOND)} ${units.second}`;
  let left = Math.round(milliseconds / SECOND) * SECOND;
  const largest = STEPS.findIndex(([, length]) => left >= length);
  // Two units, but years alone.
  const parts = STEPS.slice(largest, largest ? largest + 2 : 1).map(([unit, length]) => {
    const whole = Math.floor(left / length);
    left %= length;
    return whole && `${whole} ${units[unit]}`;
  });
  return parts.filter(Boolean).join(' ');
}

/** As `duration`, in whole seconds, for running times. @param {number} milliseconds */
export function ticking(milliseconds) {
  if (milliseconds < 10 * SECOND) return `${Math.max(0, Math.floor(milliseconds / SECOND))} ${strings.units.second}`;
  return duration(Math.floor(milliseconds / SECOND) * SECOND);
}

/** A duration as people say it: "34 s", "3 min", "2 h 10 min"; empty below a second. */
export function took(milliseconds) {
  if (!(milliseconds >= 950)) return '';
  const step = milliseconds < 59.5 * SECOND ? SECOND : MINUTE;
  const text = duration(Math.round(milliseconds / step) * step);
  return text === strings.none ? '' : text;
}

/**
 * How long a job still runs at its own rate; empty as long as that is a guess.
 * @param {number|null} progress from 0 to 1 @param {number} ran until this progress @param {number} since then
 */
export function left(progress, ran, since) {
  if (!(progress >= 0.05 && progress < 1 && ran >= 5 * SECOND)) return '';
  const milliseconds = (ran * (1 - progress)) / progress - since;
  // Not to the second, which it cannot know.
  return milliseconds > 0 ? took(Math.ceil(milliseconds / (5 * SECOND)) * 5 * SECOND) : '';
}

/** "just now", "2 min ago", "3 d ago". @param {number} milliseconds how long ago */
export function ago(milliseconds) {
  if (!Number.isFinite(milliseconds)) return strings.none;
  if (milliseconds < 10 * SECOND) return strings.justNow;
  const [unit, length] = STEPS.find((step) => milliseconds >= step[1]);
  return strings.ago(`${whole.format(Math.floor(milliseconds / length))} ${strings.units[unit]}`);
}

/** "512 B", "1.5 MB"; thousands, not 1024s. @param {number|null|undefined} count */
export function bytes(count) {
  if (typeof count !== 'number' || !(count >= 0 && count < 1e18)) return strings.none;
  let [value, step] = [count, 0];
  while (value >= 999.5 && step < strings.bytes.length - 1) [value, step] = [value / 1000, step + 1];
  return `${(value < 99.5 && step > 0 ? short : whole).format(value)} ${strings.bytes[step]}`;
}

/** "42%" of a number from 0 to 1. @param {number} part */
export const share = (part) => percent.format(Math.min(1, Math.max(0, part)));

/** "1,204". @param {number} count */
export const number = (count) => whole.format(count);

/** Time of day. @param {number} time in milliseconds */
export const timeOfDay = (time) => clock.format(time);

/** Date and time; "-" if it is not a time. @param {string} iso */
export const moment = (iso) => (Number.isFinite(Date.parse(iso)) ? full.format(new Date(iso)) : strings.none);

/** Why a request failed, as far as known. @param {import('./api.js').ApiError|null} error */
export function reason(error) {
  const { network, timeout, answer } = strings.failure;
  return plain(error?.detail || (error?.timedOut ? timeout : error?.status ? answer(error.status) : network));
}

/** An error with its reason. @param {string} what @param {import('./api.js').ApiError} error */
export function failure(what, error) {
  // A request that was rejected as invalid is rejected again.
  const refused = error.status >= 400 && error.status < 500 && error.status !== TOO_MANY;
  return `${what}. ${refused ? '' : `${strings.failure.tryAgain} `}${reason(error)}`;
}

/**
 * A name that differs from those before it: "Zip", "Zip (2)".
 * @param {Map<string, number>} counts of the titles so far @param {string} title
 */
export function numbered(counts, title) {
  const count = (counts.get(title) ?? 0) + 1;
  counts.set(title, count);
  return count > 1 ? `${title} (${count})` : title;
}

/** "99+" above 99. @param {number} count */
export const badge = (count) => (count > 99 ? strings.bell.many : String(count));
