/** Reads again after changes: rate-limited, never concurrently, and also at intervals. Pure. */

export class Refresher {
  #work;
  #atLeast;
  #every;
  #timer = null;
  #due = Infinity;
  #running = false;
  #wanted = false;
  #startedAt = -Infinity;
  #stopped = true;

  /**
   * @param {() => Promise<void>} work
   * @param {object} options
   * @param {number} options.atLeast minimum milliseconds between two requested starts
   * @param {() => number} options.every interval in milliseconds without requests
   */
  constructor(work, { atLeast, every }) {
    this.#work = work;
    this.#atLeast = atLeast;
    this.#every = every;
  }

  /** Start immediately. */
  start() {
    this.#stopped = false;
    return this.now();
  }

  /** Whether what a run has read is no longer wanted. */
  get isStopped() {
    return this.#stopped;
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  /** Request a run soon, after a change. */
  ask() {
    if (this.#running) this.#wanted = true;
    else this.#plan(this.#atLeast);
  }

  /** Run now, or right after the current run. */
  async now() {
    if (this.#stopped) return;
    if (this.#running) {
      this.#wanted = true;
      this.#startedAt = -Infinity;
      return;
    }
    clearTimeout(this.#timer);
    this.#due = Infinity;
    this.#running = true;
    this.#wanted = false;
    this.#startedAt = performance.now();
    try {
      await this.#work();
    } finally {
      this.#running = false;
      this.#plan(this.#wanted ? this.#atLeast : this.#every());
    }
  }

  #plan(after) {
    if (this.#stopped) return;
    const due = this.#startedAt + after;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.now(), Math.max(0, due - performance.now()));
  }
}
