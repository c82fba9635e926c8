/** A timer that may be set repeatedly: the earliest time counts. Pure. */

export class Alarm {
  #work;
  #timer = null;
  #due = Infinity;

  /** @param {() => void} work */
  constructor(work) {
    this.#work = work;
  }

  /** @param {number} wait milliseconds */
  set(wait) {
    const due = Date.now() + wait;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.#work();
    }, wait);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }
}
