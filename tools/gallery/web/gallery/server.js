/** Fixed answers instead of a server, and a clock that stands still. */

export const NOW = Date.parse('2026-12-01T12:00:00Z');

/** Time stands still for what is displayed; timers run. */
export function stopClock() {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...parts) {
      super(...(parts.length ? parts : [NOW]));
    }

    static now() {
      return NOW;
    }
  };
  performance.now = () => 0;
}

/**
 * @param {Record<string, object|number|null|((url: URL) => object)>} answers by method and path, such as
 *   `GET /jobs/mine`: a body, a status, or null for one that never comes. `*` is any other path.
 */
export function answerWith(answers) {
  const real = globalThis.fetch;
  globalThis.fetch = async (target, options = {}) => {
    const url = new URL(target, location.href);
    if (!url.pathname.startsWith('/api/')) return real(target, options);
    const key = `${options.method ?? 'GET'} ${url.pathname.slice('/api'.length)}`;
    const found = Object.hasOwn(answers, key) ? answers[key] : answers['*'];
    const answer = typeof found === 'function' ? found(url) : found;
    if (answer === null) return new Promise(() => {});
    if (answer === undefined) return new Response(null, { status: 204 });
    if (answer === 0) throw new TypeError('no network');
    if (typeof answer === 'number') return Response.json({ detail: 'This was refused.' }, { status: answer });
    return Response.json(answer);
  };
}
