/** An async iterator over what changes: it waits to be woken, and takes what is there then. Pure. */

const OVER = Object.freeze({ done: true, value: undefined });

/** @template T @implements {AsyncIterableIterator<T>} */
export class Following {
  #start;
  #take;
  #stop = null;
  #isOver = false;
  #wake = () => {};
  #turn = Promise.resolve();

  /**
   * @param {object} source
   * @param {(wake: () => void) => () => void} source.start begins with the first `next`; returns what ends it
   * @param {() => {done: boolean, value?: T}|null} source.take the next result; null: wait until woken; may throw
   * @param {AbortSignal} [signal] ends the iteration, as `return` does
   */
  constructor({ start, take }, signal) {
    this.#start = start;
    this.#take = take;
    if (signal?.aborted) this.#end();
    else signal?.addEventListener('abort', () => this.#end(), { once: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** @returns {Promise<IteratorResult<T>>} */
  next() {
    const turn = this.#turn.then(() => this.#next());
    // Each caller is told its own error.
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async return(value) {
    this.#end();
    return { done: true, value };
  }

  async #next() {
    while (!this.#isOver) {
      const woken = new Promise((resolve) => (this.#wake = resolve));
      let found;
      try {
        this.#stop ??= this.#start(() => this.#wake());
        found = this.#take();
      } catch (error) {
        this.#end();
        throw error;
      }
      if (found?.done) this.#end();
      if (found) return found;
      await woken;
    }
    return OVER;
  }

  #end() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stop?.();
    this.#wake();
  }
}
