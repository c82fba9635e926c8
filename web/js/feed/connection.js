/** Keeps one hub connection open for as long as it is wanted, and knows when the page is hidden or back. */

const DOUBLINGS = 4;
const FIRST = 2000;
const LONGEST = 30_000;
const STABLE_AFTER = 15_000;

/**
 * Milliseconds to wait before the next try: widely spread at first, so that many pages do not come back at once, and
 * later never above 30 s.
 * @param {number} tries how many waits there were since the connection last worked
 */
export function retryDelay(tries, random = Math.random) {
  return tries < DOUBLINGS ? FIRST * 2 ** tries * (0.5 + 0.5 * random()) : LONGEST * (0.9 + 0.1 * random());
}

export class Connection {
  /** Whether pushes arrive. */
  live = false;
  /** How many times it has had to try again since it last worked for a while. */
  tries = 0;
  /** Whether it has been live since it was started. */
  wasLive = false;

  #open;
  #onChange;
  #attempt = null;
  #hub = null;
  #timer = null;
  #liveSince = 0;

  /**
   * @param {() => Promise<import('../types.d.ts').Hub>} open makes a new, unstarted hub connection
   * @param {() => void} onChange called whenever `live` or `tries` has changed
   */
  constructor(open, onChange) {
    this.#open = open;
    this.#onChange = onChange;
  }

  /** Connect, and connect again after every loss, until `stop`. */
  start() {
    if (!this.#attempt && !this.#timer) this.#try();
  }

  /** Do not wait for the next try: something says that the network is back. */
  hurry() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#try();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const hub = this.#hub;
    this.#hub = null;
    this.#attempt = null;
    this.live = false;
    this.wasLive = false;
    this.tries = 0;
    hub?.stop().catch(() => {});
  }

  async #try() {
    this.#timer = null;
    const attempt = {};
    this.#attempt = attempt;
    try {
      // A new object for each try: one that is still closing refuses to start.
      const hub = await this.#open();
      if (this.#attempt !== attempt) return;
      this.#hub = hub;
      hub.onclose(() => this.#lost(attempt));
      await hub.start();
    } catch {
      this.#lost(attempt);
      return;
    }
    if (this.#attempt !== attempt) return;
    this.live = true;
    this.wasLive = true;
    this.#liveSince = Date.now();
    this.#onChange();
  }

  #lost(attempt) {
    if (this.#attempt !== attempt) return;
    this.#attempt = null;
    this.#hub = null;
    // A hub that takes every connection and drops it at once must not be asked every second.
    if (this.live && Date.now() - this.#liveSince >= STABLE_AFTER) this.tries = 0;
    this.live = false;
    this.#timer = setTimeout(() => this.#try(), retryDelay(this.tries));
    this.tries += 1;
    this.#onChange();
  }
}

/** Tells when the page is hidden, left, shown (again), or back on the network. Null outside a browser. */
export const browserPage = globalThis.document
  ? {
      hidden: () => document.hidden,
      /** @param {(event: 'hidden'|'visible'|'online'|'left') => void} callback @returns {() => void} ends it */
      watch(callback) {
        const stop = new AbortController();
        const on = (target, name, listener) => target.addEventListener(name, listener, { signal: stop.signal });
        on(document, 'visibilitychange', () => callback(document.hidden ? 'hidden' : 'visible'));
        on(globalThis, 'online', () => callback('online'));
        on(globalThis, 'pagehide', () => callback('left'));
        on(globalThis, 'pageshow', (event) => event.persisted && callback('visible'));
        return () => stop.abort();
      },
    }
  : null;
