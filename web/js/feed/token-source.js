/** The source of a feed's tokens, and their user. */

const WITHIN = 15_000;
const CALM = 1000;

export class TokenSource {
  /** Undefined until a page has set it; null if signed out. @type {import('../types.d.ts').GetToken|null|undefined} */
  getToken;

  #onChange;
  #issued = new Set();
  #turn = 0;
  #asked = null;
  #token = null;
  #person = null;
  #otherAt = 0;

  /**
   * @param {(change: 'other'|'unknown'|'renewed') => void} onChange the token is for an `other` user than before, or,
   *   from a new function, may be for one (`unknown`) or is not (`renewed`)
   */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * The token to send now; null if signed out. Calls `onChange` first if it is for a different user.
   * @throws what the page's function throws, and an error if it takes more than 15 s
   */
  async get() {
    const turn = this.#turn;
    const { getToken } = this;
    const token = (await inTime(getToken).catch((error) => {
      if (getToken === this.getToken) throw error;
    })) || null;
    if (turn !== this.#turn) return token;
    if (getToken === this.getToken) this.#compare(token);
    // The result of a replaced function does not count.
    else if (!token) return this.get();
    this.#issued.add(token);
    return token;
  }

  /** Whether this token was given out since the last `reset`. @param {string|null} token */
  hasIssued(token) {
    return this.#issued.has(token);
  }

  /** Ignore late responses to requests with a previous token. */
  reset() {
    this.#turn += 1;
    this.#issued.clear();
  }

  /** The next token is not compared with those before. */
  forget() {
    this.reset();
    this.#asked = this.#token = this.#person = null;
  }

  #compare(token) {
    if (!token) return;
    const person = personOf(token);
    const isNew = this.getToken !== this.#asked;
    const isRenewed = isNew && this.#token && token !== this.#token;
    const isSame = person && person === this.#person;
    const isOther = person && this.#person && !isSame;
    const now = Date.now();
    // A function that returns another user each time must not keep page and server busy.
    if (isOther && !isNew && now - this.#otherAt < CALM) return;
    this.#asked = this.getToken;
    this.#token = token;
    this.#person = person;
    if (isOther || (isRenewed && !isSame)) {
      this.#otherAt = now;
      this.#onChange(isOther ? 'other' : 'unknown');
    } else if (isRenewed) {
      this.#issued.clear();
      this.#onChange('renewed');
    }
  }
}

/**
 * The user that a token names, unverified: only to notice another user before the server does. Null if the token is
 * not a JWT.
 * @param {string|null} token
 */
export function personOf(token) {
  try {
    const { iss, sub, tid, oid } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
    return sub ? JSON.stringify([iss, sub, tid, oid]) : null;
  } catch {
    return null;
  }
}

/** The result of the page's function, which may hang or fail in any way. */
const inTime = (getToken) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(reject, WITHIN, new Error('getToken did not return in time'));
    Promise.resolve().then(getToken).finally(() => clearTimeout(timer)).then(resolve, reject);
  });
