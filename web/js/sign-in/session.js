/** The session of an invite link, which the tabs of a browser share. */

const KEY = 'queued-jobs.session';
const INVITE = 'qj.invite';
const SIBLINGS_WITHIN = 300;

/**
 * The invite in the URL, which is removed immediately: it must not stay in the history, in a bookmark or in a
 * screenshot.
 * @param {Location} location
 * @param {History} history
 * @returns {string|null}
 */
export function takeInvite(location, history) {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has('invite')) return null;
  const invite = fragment.get('invite');
  fragment.delete('invite');
  const rest = fragment.size ? `#${fragment}` : '';
  history.replaceState(history.state, '', location.pathname + location.search + rest);
  return invite || null;
}

let tabStorage = null;
try {
  tabStorage = sessionStorage;
} catch {
  // Storage may be disabled: then a reload signs out.
}

/** Taken when this module is loaded, before any other module runs, and kept for reloads until it is redeemed. */
let firstInvite = globalThis.location ? takeInvite(location, history) : null;
if (firstInvite) tabStorage?.setItem(INVITE, firstInvite);

/** A `Session` of types.d.ts. */
export class InviteSession {
  state = 'checking';
  /** Why signing in failed. @type {Error|null} */
  error = null;

  #exchange;
  #storage;
  #channel;
  #locks;
  #data = null;
  #invite = null;
  /** The digest of the invite, or null. */
  #link = null;
  /** The link that the user has chosen instead of the session of this tab. */
  #chosen = null;
  #endedLink = null;
  #listeners = new Set();
  #answers = new Set();

  /**
   * @param {object} options
   * @param {(invite: string) => Promise<import('../types.d.ts').SessionData>} options.exchange
   * @param {Storage|null} [options.storage] of this tab: survives a reload
   * @param {BroadcastChannel} [options.channel] to the other tabs of this origin
   * @param {LockManager|null} [options.locks] so that only one of several tabs exchanges the invite
   */
  constructor({
    exchange,
    storage = tabStorage,
    channel = new BroadcastChannel(KEY),
    // A browser that disables storage disables locks too.
    locks = storage && globalThis.navigator?.locks,
  }) {
    this.#exchange = exchange;
    this.#storage = storage;
    this.#channel = channel;
    this.#locks = locks;
    channel.onmessage = ({ data }) => this.#onMessage(data);
  }

  /** The signed-in user, from the server; null if signed out. */
  get user() {
    return this.#data?.user ?? null;
  }

  /** The token to send, or null. */
  get token() {
    return this.#data?.token ?? null;
  }

  /** The token, called by a feed before each request. */
  async getToken() {
    return this.token;
  }

  /** @param {() => void} listener called after every change @returns {() => void} ends it */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Sign in with this invite, or with the session of this tab or of another tab. Also used to retry after a failure.
   * A session of another link is replaced only after `useLink`.
   * @param {string|null} [invite]
   */
  async start(invite = firstInvite) {
    firstInvite = null;
    this.#invite = invite ?? this.#invite ?? this.#storage?.getItem(INVITE);
    if (this.#invite) this.#storage?.setItem(INVITE, this.#invite);
    this.#become('checking');
    const link = (this.#link = this.#invite && (await digest(this.#invite)));
    const mine = this.#data ?? this.#stored();
    if (mine && (!link || mine.link === link)) return this.#accept(mine);
    if (mine && link !== this.#chosen) {
      this.#data = mine;
      return this.#become('other');
    }
    await this.#alone(async () => {
      const shared = await this.#askSiblings(link);
      if (shared) this.#accept(shared);
      else if (this.#invite) await this.#redeem(link);
      else this.#become('needed');
    });
  }

  /** In state `other`: sign in with the link. */
  async useLink() {
    this.#chosen = this.#link;
    await this.start();
  }

  /** In state `other`: ignore the link. */
  stay() {
    this.#invite = null;
    this.#accept(this.#data);
  }

  /** The server rejected this token: forget the session. @param {string|null} token */
  refuse(token) {
    if (!this.#data || token !== this.#data.token) return;
    const { link } = this.#data;
    this.#data = null;
    this.#storage?.removeItem(KEY);
    // The link was opened, but an older session was used: now redeem the link itself.
    if (this.#invite) this.#redeem(this.#link);
    else {
      this.#endedLink = link;
      this.#become('ended');
    }
  }

  async #redeem(link) {
    try {
      const session = await this.#exchange(this.#invite);
      this.#invite = null;
      this.#accept({ ...session, link });
      this.#channel.postMessage({ type: 'session', session: this.#data });
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      this.error = error;
      if (error.status !== 401) return this.#become('failed');
      this.#invite = null;
      this.#storage?.removeItem(INVITE);
      this.#become('wrong');
    }
  }

  #accept(data) {
    this.#data = data;
    this.#storage?.removeItem(INVITE);
    this.#storage?.setItem(KEY, JSON.stringify(data));
    this.#become('signed-in');
  }

  #stored() {
    try {
      return JSON.parse(this.#storage.getItem(KEY));
    } catch {
      return null;
    }
  }

  #alone(work) {
    return this.#locks ? this.#locks.request(KEY, work) : work();
  }

  /** Ask other tabs for a session of the same link, or of any link if there is none. */
  #askSiblings(link) {
    return new Promise((resolve) => {
      const answer = (session) => (!link || session.link === link) && resolve(session);
      this.#answers.add(answer);
      setTimeout(() => {
        this.#answers.delete(answer);
        resolve(null);
      }, SIBLINGS_WITHIN);
      this.#channel.postMessage({ type: 'ask' });
    });
  }

  #onMessage({ type, session }) {
    if (type === 'ask' && this.#data) this.#channel.postMessage({ type: 'session', session: this.#data });
    if (type !== 'session') return;
    for (const answer of this.#answers) answer(session);
    // Another tab has opened the link: use its session here too, unless it belongs to another user.
    const awaited = this.state === 'needed' || (this.state === 'ended' && session.link === this.#endedLink);
    if (awaited) this.#accept(session);
  }

  #become(state) {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** Identifies links without storing them. Null if the browser has no digest: then links are not distinguished. */
async function digest(text) {
  if (!globalThis.crypto?.subtle) return null;
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))).join();
}
