/** The plan of a bulk action: the number of jobs, and its steps. Pure except for the API. */

import { strings } from '../strings.js';
import { words } from './strings.js';

/**
 * All matching jobs. A plan keeps the time of its count: however often its steps are repeated, and by however
 * many admins, no job is changed twice.
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
      return counted;
    },
    /** @returns {Promise<{changed: number, refused: Record<string, number>, done: boolean}>} */
    async step() {
      const { changed, refused, next } = await api.bulk(action, filters, asOf, place);
      place = next;
      return { changed, refused, done: next === null };
    },
  };
}

/** These jobs, one by one, with the same guarantee. @param {import('../types.d.ts').AdminJob[]} jobs */
export function those(api, action, jobs) {
  let asOf = null;
  let index = 0;
  return {
    action,
    filters: null,
    async count() {
      ({ asOf } = await api.count({ id: jobs[0].id }));
      return { number: jobs.length, exact: true };
    },
    async step() {
      const filters = { id: jobs[index].id };
      const { changed, refused } = await api.bulk(action, filters, asOf, null);
      if (changed === 0 && Object.keys(refused).length === 0) {
        const [job] = (await api.jobs(filters, null)).items;
        refused[job ? words.bulk.moved(strings.status[job.status]) : words.job.gone] = 1;
      }
      index += 1;
      return { changed, refused, done: index === jobs.length };
    },
  };
}
