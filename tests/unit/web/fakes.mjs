// What stands in for the hub, the network and the page, where the logic around them is tested.

/** Let promises that are ready go on. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A hub connection whose fate the test decides. */
export class FakeHub {
  started = false;
  stopped = false;
  #start = deferred();
  #onclose = () => {};

  start() {
    this.started = true;
    return this.#start.promise;
  }

  async stop() {
    this.stopped = true;
  }

  onclose(callback) {
    this.#onclose = callback;
  }

  succeed() {
    this.#start.resolve();
  }

  fail() {
    this.#start.reject(new Error('no hub'));
  }

  close() {
    this.#onclose();
  }
}

/** Answers requests by what `answer` returns: {status, body, etag, retryAfter} or an Error. Remembers them in `requests`. */
export function fakeFetch(answer) {
  const requests = [];
  const fetch = async (url, { method, headers, body, keepalive }) => {
    const { pathname: path } = new URL(url);
    const request = { method, path, url: new URL(url), headers, body: body && JSON.parse(body), keepalive };
    requests.push(request);
    const result = await answer(request);
    if (result instanceof Error) throw result;
    const { status = 200, body: content = null, etag, retryAfter } = result;
    const hasBody = ![204, 304].includes(status);
    return new Response(hasBody ? JSON.stringify(content) : null, {
      status,
      headers: { ...(etag && { etag }), ...(retryAfter && { 'retry-after': retryAfter }) },
    });
  };
  return { fetch, requests };
}

/** The page's visibility, at the test's command. */
export class FakePage {
  #callback = () => {};
  #hidden = false;

  hidden = () => this.#hidden;

  watch(callback) {
    this.#callback = callback;
    return () => (this.#callback = () => {});
  }

  tell(event) {
    if (event === 'hidden' || event === 'visible') this.#hidden = event === 'hidden';
    this.#callback(event);
  }
}

export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}
