/**
 * Reads the output of one job as it is emitted: by pushes, from the API after a gap, and at intervals while no pushes
 * arrive. When the job has ended it reads the rest, and is done.
 */

import { Alarm } from './alarm.js';
import { JobOutput } from './output.js';
import { JobWatch, isFinal, readEvery } from './job-watch.js';

export class OutputReader {
  output = new JobOutput();
  /** Whether the job has ended, and all it has emitted is here. */
  isDone = false;

  #feed;
  #id;
  #watch;
  #onChange;
  #alarm = new Alarm(() => this.#read());
  #isReading = false;
  #isStopped = false;
  #hasRead = false;
  #failures = 0;
  #error = null;
  #state;
  #retryAfter = 0;

  /**
   * @param {import('./feed.js').JobFeed} feed
   * @param {string|number} id
   * @param {() => void} onChange called when there is more, and when it is done or has failed
   */
  constructor(feed, id, onChange) {
    this.#feed = feed;
    this.#id = String(id);
    this.#onChange = onChange;
    this.#watch = new JobWatch(feed, id, () => this.#look());
  }

  /** Why there is nothing more. @type {import('../api.js').ApiError|null} */
  get error() {
    return this.#error ?? this.#watch.error;
  }

  /** @param {import('../types.d.ts').Chunks} frame pushed for this job */
  push(frame) {
    // Before the first read it is not known whose job this is.
    const isNew = this.output.push(frame);
    if (this.output.isBehind) this.#plan(0);
    if (isNew) this.#onChange();
  }

  stop() {
    this.#isStopped = true;
    this.#alarm.stop();
    this.#watch.stop();
  }

  get #isOver() {
    return this.#isStopped || this.isDone || this.error !== null;
  }

  /** The job or the connection has changed. */
  #look() {
    if (this.error) this.#onChange();
    if (this.#isOver || !this.#watch.isReady) return;
    const { state } = this.#feed;
    const isBack = state !== this.#state && state === 'live';
    this.#state = state;
    // At once: what was emitted before, during a gap, or until the end.
    if (!this.#hasRead || isBack || this.#watch.hasEnded) this.#plan(0);
    else this.#plan();
  }

  #plan(wait = this.#wait()) {
    if (this.#isOver || this.#isReading || !this.#watch.isReady) return;
    // A server in need is not asked more often.
    this.#alarm.set(this.#failures ? this.#wait() : wait);
  }

  #wait() {
    return Math.max(this.#retryAfter, readEvery(this.#feed, this.#failures, this.#watch.job?.status === 'running'));
  }

  async #read() {
    this.#isReading = true;
    const { hasEnded } = this.#watch;
    const mark = this.output.mark();
    let page = null;
    try {
      page = await this.#feed.api.stream(this.#id, mark.last);
      this.#failures = this.#retryAfter = 0;
    } catch (error) {
      if (error.name !== 'ApiError' || isFinal(error)) this.#error = error;
      this.#failures += 1;
      this.#retryAfter = error.retryAfter ?? 0;
    }
    this.#isReading = false;
    if (this.#isOver) return this.#isStopped || this.#onChange();
    if (page) this.#take(page, mark, hasEnded);
    else this.#plan();
  }

  #take(page, mark, hadEnded) {
    this.#hasRead = true;
    const isNew = this.output.read(page, mark);
    const isWhole = !page.more && !this.output.isBehind;
    this.isDone = hadEnded && isWhole;
    if (isNew || this.isDone) this.#onChange();
    if (!isWhole || this.#watch.hasEnded) this.#plan(0);
    else this.#plan();
  }
}
