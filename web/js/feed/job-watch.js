/** The state of one job, from the feed or, where the feed does not list it, from separate reads. */

import { ApiError } from '../api.js';
import { Alarm } from './alarm.js';
import { hasEnded } from './store.js';

/** Milliseconds between two reads of what pushes do not bring: while they arrive, and otherwise. */
const EVERY = 1500;
const EVERY_LIVE = 15_000;
const EVERY_PAUSED = 60_000;
const LONGEST = 30_000;

/** When to read again. @param {import('./feed.js').JobFeed} feed @param {number} failures since the last success */
export function readEvery(feed, failures, isRunning = true) {
  const { state } = feed;
  if (state === 'paused') return EVERY_PAUSED;
  const every = state === 'live' || !isRunning ? EVERY_LIVE : EVERY;
  return failures ? Math.min(LONGEST, EVERY * 2 ** failures) : every;
}

/** Whether a request that failed so fails again. @param {ApiError} error */
export const isFinal = ({ status }) => status >= 400 && status < 500 && ![401, 408, 429].includes(status);

/** The error of readers whose user has signed out, or is another one now. */
export const userChanged = () => new ApiError({ status: 401, detail: 'The user of this page has changed.' });

export class JobWatch {
  /** The newest state; null until it is known. @type {import('../types.d.ts').Job|null} */
  job = null;
  /** Why it cannot be read. @type {ApiError|null} */
  error = null;

  #feed;
  #id;
  #onChange;
  #whose = null;
  #alarm = new Alarm(() => this.#read());
  #isReading = false;
  #failures = 0;
  #unsubscribe;

  /**
   * @param {import('./feed.js').JobFeed} feed
   * @param {string|number} id
   * @param {() => void} onChange called after every change, and after every other one of the feed
   */
  constructor(feed, id, onChange) {
    this.#feed = feed;
    this.#id = id;
    this.#onChange = onChange;
    this.#unsubscribe = feed.subscribe(() => this.#look());
    // Not before the caller has this object.
    queueMicrotask(() => this.#look());
  }

  get hasEnded() {
    return this.job !== null && hasEnded(this.job);
  }

  /** Whether requests have a token. */
  get isReady() {
    return this.#whose !== null && !this.error && this.#feed.state !== 'signed-out';
  }

  stop() {
    this.#alarm.stop();
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  #look() {
    if (!this.#unsubscribe || this.error) return;
    const { state, store, whose } = this.#feed;
    if (this.#whose === null && state !== 'signed-out') this.#whose = whose;
    if (this.#whose !== null && this.#whose !== whose) return this.#fail(userChanged());
    this.#take(store.get(this.#id));
    if (this.isReady && store.loaded && !store.get(this.#id) && !this.hasEnded) this.#plan();
    this.#onChange();
  }

  #take(job) {
    if (job && !(job.version <= this.job?.version)) this.job = job;
  }

  #plan() {
    if (this.#isReading) return;
    this.#alarm.set(this.job || this.#failures ? readEvery(this.#feed, this.#failures) : 0);
  }

  async #read() {
    this.#isReading = true;
    try {
      const job = await this.#feed.api.job(this.#id);
      this.#failures = 0;
      if (this.#whose === this.#feed.whose) this.#take(job);
    } catch (error) {
      if (error.name !== 'ApiError' || isFinal(error)) return this.#fail(error);
      this.#failures += 1;
    } finally {
      this.#isReading = false;
    }
    this.#look();
  }

  #fail(error) {
    if (!this.#unsubscribe) return;
    this.error = error;
    this.#alarm.stop();
    this.#onChange();
  }
}
