/** Reads again when something may have changed: not too often, never twice at once, now and then unasked. Pure. */

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
   * @param {number} options.atLeast milliseconds between two starts that were asked for
   * @param {() => number} options.every milliseconds after which it is done unasked
   */
  constructor(work, { atLeast, every }) {
    this.#work = work;
    this.#atLeast = atLeast;
    this.#every = every;
  }

  /** Begin at once. */
  start() {
    this.#stopped = false;
    return this.now();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  /** Something has changed: do it soon. */
  ask() {
    if (this.#running) this.#wanted = true;
    else this.#plan(this.#atLeast);
  }

  /** Do it now, or right after the one that runs. */
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
