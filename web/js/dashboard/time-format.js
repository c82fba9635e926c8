/** Times as the dashboard writes them, in this device's zone. Pure. */

import { strings } from '../strings.js';

const minute = new Intl.DateTimeFormat(strings.locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const date = { day: 'numeric', month: 'short' };
const utc = { ...date, timeZone: 'UTC' };
const day = new Intl.DateTimeFormat(strings.locale, date);
const utcDay = new Intl.DateTimeFormat(strings.locale, utc);
const utcDate = new Intl.DateTimeFormat(strings.locale, { ...utc, year: 'numeric', timeZoneName: 'short' });

/** "14:05". @param {number} time in milliseconds */
export const minuteOf = (time) => minute.format(time);

/** "25 Nov". @param {number} time in milliseconds */
export const dayOf = (time) => day.format(time);

/** "25 Nov" in UTC: a day is named by the zone in which it begins. @param {number} time in milliseconds */
export const utcDayOf = (time) => utcDay.format(time);

/** "25 Nov 2026, UTC". @param {number} time in milliseconds */
export const utcDateOf = (time) => utcDate.format(time);

/** An ISO time as the value of a datetime-local input; empty for none. @param {string|undefined} iso */
export function toInput(iso) {
  if (!iso) return '';
  const time = new Date(iso);
  return new Date(time - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** The value of such an input as ISO; empty if it is empty or not a time. @param {string} text */
export function fromInput(text) {
  const time = text ? new Date(text) : null;
  return time && Number.isFinite(time.getTime()) ? time.toISOString() : '';
}
