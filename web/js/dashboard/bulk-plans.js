/** What a bulk action is about: how many jobs, and step by step the doing of it. Pure but for the API. */

/**
 * Everything that matches. A plan remembers the moment of its count: however often its steps are taken, and by however
 * many people, no job is done twice.
 * @param {import('./admin-api.js').AdminApi} api
 * @param {'retry'|'cancel'} action
 * @param {import('../types.d.ts').Filters} filters
 */
export function matching(api, action, filters) {
  let asOf = null;
  let place = null;
  return {
    action,
    filters,
    async count() {
      const counted = await api.count(filters, action);
      asOf = counted.asOf;
      return { ...counted, looked: Boolean(filters.text || filters.queue || filters.error) };
    },
    /** @returns {Promise<{changed: number, refused: Record<string, number>, done: boolean}>} */
    async step() {
      const { changed, refused, next } = await api.bulk(action, filters, asOf, place);
      place = next;
      return { changed, refused, done: next === null };
    },
  };
}

/** These jobs, one by one. @param {import('../types.d.ts').AdminJob[]} jobs */
export function those(api, action, jobs) {
  let index = 0;
  return {
    action,
    filters: null,
    count: async () => ({ number: jobs.length, exact: true }),
    async step() {
      const refused = {};
      let changed = 0;
      try {
        await api[action](jobs[index].id);
        changed = 1;
      } catch (error) {
        // It has moved on meanwhile, or is gone.
        if (![404, 409].includes(error.status)) throw error;
        refused[error.detail] = 1;
      }
      index += 1;
      return { changed, refused, done: index === jobs.length };
    },
  };
}
