/** Keeps one hub connection open while it is needed, and follows the visibility of the page. */

const DOUBLINGS = 4;
const FIRST = 2000;
const LONGEST = 30_000;
const STABLE_AFTER = 15_000;

/**
 * Milliseconds before the next attempt: widely spread at first, so that many pages do not reconnect at once, and
 * later never above 30 s.
 * @param {number} tries number of waits since the connection last worked
 */
export function retryDelay(tries, random = Math.random) {
  return tries < DOUBLINGS ? FIRST * 2 ** tries * (0.5 + 0.5 * random()) : LONGEST * (0.9 + 0.1 * random());
}

export class Connection {
  /** Whether pushes arrive. */
  live = false;
  /** Number of reconnects since the connection was last stable. */
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
   * @param {() => Promise<import('../types.d.ts').Hub>} open creates a new hub connection that is not started
   * @param {() => void} onChange called whenever `live` or `tries` has changed
   */
  constructor(open, onChange) {
    this.#open = open;
    this.#onChange = onChange;
  }

  /** Connect, and reconnect after every loss, until `stop`. */
  start() {
    if (!this.#attempt && !this.#timer) this.#try();
  }

  /** Reconnect now: the network seems to be back. */
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
      // A new object per attempt: one that is still closing cannot be started.
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
    // A hub that accepts and drops every connection must not be called every second.
    if (this.live && Date.now() - this.#liveSince >= STABLE_AFTER) this.tries = 0;
    this.live = false;
    this.#timer = setTimeout(() => this.#try(), retryDelay(this.tries));
    this.tries += 1;
    this.#onChange();
  }
}

/** Reports when the page is hidden, left, visible, or online again. Null outside a browser. */
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
