/** Where the tokens of a feed come from, and whose they are. */

const WITHIN = 15_000;
const CALM = 1000;

export class TokenSource {
  /** Undefined until a page has set it; null: nobody. @type {import('../types.d.ts').GetToken|null|undefined} */
  getToken;

  #onChange;
  #issued = new Set();
  #turn = 0;
  #asked = null;
  #token = null;
  #person = null;
  #otherAt = 0;

  /**
   * @param {(change: 'other'|'unknown'|'renewed') => void} onChange a token is for somebody `other` than the one before;
   *   that of a new function may be, as it does not say (`unknown`), or is not (`renewed`)
   */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * The token to send now; null for nobody. Tells first when it is not for the same person as the one before.
   * @throws whatever the page's function throws; an error too when that takes more than 15 s
   */
  async get() {
    const turn = this.#turn;
    const { getToken } = this;
    const token = (await inTime(getToken).catch((error) => {
      if (getToken === this.getToken) throw error;
    })) || null;
    if (turn !== this.#turn) return token;
    if (getToken === this.getToken) this.#compare(token);
    // A function that a newer one has replaced may not know what the newer one does.
    else if (!token) return this.get();
    this.#issued.add(token);
    return token;
  }

  /** Whether this token was given out since the last `reset`. @param {string|null} token */
  hasIssued(token) {
    return this.#issued.has(token);
  }

  /** A late answer to what was sent with a token of before says nothing about now. */
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
    // A function that yields somebody else each time must not keep page and server busy.
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
 * Whom a token names: what tells two people apart before the server does, and not what anybody is trusted for. Null
 * where it does not say, as the token is no JWT.
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

/** What a page's own function yields, which may take for ever or fail in any way. */
const inTime = (getToken) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(reject, WITHIN, new Error('getToken did not answer in time'));
    Promise.resolve().then(getToken).finally(() => clearTimeout(timer)).then(resolve, reject);
  });
