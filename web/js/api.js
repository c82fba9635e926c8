/** The HTTP API, as functions: bearer token, time limit, ETag, problem+json. */

const WITHIN = 15_000;
const MAX_IDS = 500;
/** How many jobs a page of the list has. */
export const PAGE = 50;

/**
 * A failed request. `status` is 0 if there was no response; `detail` is the server's message for users;
 * `retryAfter` is the requested delay in milliseconds.
 */
export class ApiError extends Error {
  name = 'ApiError';

  constructor({ status = 0, detail = '', timedOut = false, retryAfter = 0 }) {
    super(detail || `status ${status}`);
    Object.assign(this, { status, detail, timedOut, retryAfter });
  }
}

/**
 * @param {object} options
 * @param {string} options.base absolute URL of the API, without a slash at its end
 * @param {import('./types.d.ts').GetToken} options.getToken
 * @param {(token: string|null) => void} options.onRefused called with the rejected token, or null
 */
export function createApi({ base, getToken, onRefused }) {
  async function request(method, path, { body, headers, within, keepalive, refusals = [401] } = {}) {
    const token = await getToken().catch(() => {
      throw new ApiError({});
    });
    if (!token) {
      onRefused(null);
      throw new ApiError({ status: 401 });
    }
    const access = { ...headers, authorization: `Bearer ${token}` };
    const answer = await send(method, base + path, body, access, within, keepalive);
    if (refusals.includes(answer.status)) onRefused(token);
    return answer;
  }

  const call = async (method, path, options) => read(await request(method, path, options));
  const job = (id) => `/jobs/${encodeURIComponent(id)}`;

  return {
    /** Any other route: the body of its JSON response. @throws {ApiError} */
    call,
    /** Any other route: a response that is a file. @throws {ApiError} */
    async file(path, within) {
      const answer = await request('GET', path, { within });
      return answer.ok ? answer : read(answer);
    },

    /** One page of the caller's jobs, newest first; null if the ETag still matches. */
    async mine({ before = null, etag = null }) {
      const query = new URLSearchParams({ limit: PAGE, ...(before && { before }) });
      const headers = etag && { 'if-none-match': etag };
      // Without access to their own jobs, users need to sign in again.
      const answer = await request('GET', `/jobs/mine?${query}`, { headers, refusals: [401, 403] });
      if (answer.status === 304) return null;
      const body = await read(answer);
      if (!Array.isArray(body.items)) throw new ApiError({});
      return { etag: answer.headers.get('etag'), body };
    },

    job: (id) => call('GET', job(id)),
    /** What a job has emitted after this chunk, of all topics. */
    stream: (id, after) => call('GET', `${job(id)}/stream?after=${after}`),
    clear: (id) => call('DELETE', job(id)),
    cancel: (id) => call('POST', `${job(id)}/cancel`),
    retry: (id) => call('POST', `${job(id)}/retry`),
    download: (id) => call('GET', `${job(id)}/download`),
    async seen(ids) {
      for (let from = 0; from < ids.length; from += MAX_IDS) {
        await call('POST', '/jobs/seen', { body: { ids: ids.slice(from, from + MAX_IDS) } });
      }
    },
    clearFinished: () => call('POST', '/jobs/clear-finished'),
    /** Restore all jobs that were cleared together then, even if the page is closed. */
    undoClear: (since) => call('POST', '/jobs/undo-clear', { body: { since }, keepalive: true }),
  };
}

/**
 * Exchange an invite for a session; the only call without a token.
 * @returns {Promise<import('./types.d.ts').SessionData>}
 */
export const exchangeInvite = async (base, invite) => read(await send('POST', `${base}/session`, { invite }));

/** Reads the newest pages as one snapshot; a page that has not changed costs only a 304. */
export class SnapshotReader {
  #api;
  #store;
  #known = [];

  /**
   * @param {import('./feed/store.js').JobStore} store learns the server's clock
   * @param {number} [pages] how many to read
   */
  constructor(api, store, pages = 1) {
    this.#api = api;
    this.#store = store;
    this.pages = pages;
  }

  /** Make the next read complete: a 304 response does not contain the server's time. */
  forget() {
    this.#known = [];
  }

  /**
   * Unchanged pages are returned as well: merging them again removes jobs that a late push has restored.
   * @returns {Promise<import('./types.d.ts').Snapshot>}
   */
  async read() {
    const known = this.#known;
    this.#known = [];
    const pages = [];
    let before = null;
    do {
      const page = await this.#readPage(before, known[pages.length]);
      pages.push(page);
      before = page.body.nextBefore;
    } while (before && pages.length < this.pages);
    this.#known = pages;
    return { ...pages.at(-1).body, items: pages.flatMap((page) => page.body.items) };
  }

  async #readPage(before, known) {
    const usable = known?.before === before ? known : null;
    const sentAt = performance.now();
    const answer = await this.#api.mine({ before, etag: usable?.etag });
    if (!answer) return usable;
    // The middle of the request, by a monotonic clock.
    this.#store.noteClock(answer.body.serverTime, Date.now() - (performance.now() - sentAt) / 2);
    return { before, ...answer };
  }
}

async function send(method, url, body, headers = {}, within = WITHIN, keepalive = false) {
  try {
    return await fetch(url, {
      method,
      headers: body ? { ...headers, 'content-type': 'application/json' } : headers,
      body: body && JSON.stringify(body),
      credentials: 'omit',
      // We send the ETag ourselves, so the browser's cache must not answer.
      cache: 'no-store',
      keepalive,
      signal: AbortSignal.timeout(within),
    });
  } catch (error) {
    throw new ApiError({ timedOut: error.name === 'TimeoutError' });
  }
}

/** The body of a response. @throws {ApiError} */
async function read(answer) {
  const { ok, status } = answer;
  if (status === 204) return null;
  const body = await answer.json().catch(() => null);
  if (ok && body) return body;
  const retryAfter = 1000 * answer.headers.get('retry-after') || 0;
  // A successful response with other content comes from an intermediary, such as a captive portal.
  throw new ApiError({ status: ok ? 0 : status, detail: typeof body?.detail === 'string' ? body.detail : '', retryAfter });
}
