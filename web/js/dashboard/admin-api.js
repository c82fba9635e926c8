/** The admin's routes, as functions. */

import { ApiError } from '../api.js';
import { filterQuery } from './url-state.js';

const PAGE = 50;
/** Jobs per bulk request: few enough to respond in time and to show progress. */
const CHUNK = 200;
const PATIENT = 120_000;

export class AdminApi {
  #api;

  /** @param {ReturnType<typeof import('../api.js').createApi>} api */
  constructor(api) {
    this.#api = api;
  }

  options() {
    return this.#get('/options');
  }

  jobs(filters, before) {
    const query = filterQuery(filters);
    query.set('limit', PAGE);
    if (before) query.set('before', before);
    return this.#get(`/jobs?${query}`);
  }

  /** @param {import('../types.d.ts').Filters} filters @param {'retry'|'cancel'} [action] count those that it changes */
  count(filters, action) {
    const query = filterQuery(filters);
    if (action) query.set('action', action);
    return this.#get(`/jobs/count?${query}`);
  }

  /** How many jobs that match the other filters have each status. @param {import('../types.d.ts').Filters} filters */
  statuses(filters) {
    return this.#get(`/jobs/statuses?${filterQuery(filters)}`);
  }

  /** One step of a bulk action. */
  bulk(action, filters, asOf, before) {
    return this.#post('/jobs/bulk', { action, filters, asOf, before, limit: CHUNK });
  }

  job(id) {
    return this.#get(`/jobs/${encodeURIComponent(id)}`);
  }

  /** What it has emitted after this chunk, of all topics. */
  stream(id, after) {
    return this.#get(`/jobs/${encodeURIComponent(id)}/stream?after=${after}`);
  }

  retry(id) {
    return this.#api.retry(id);
  }

  cancel(id) {
    return this.#api.cancel(id);
  }

  failures(minutes) {
    return this.#get(`/failures?minutes=${minutes}`);
  }

  stats({ minutes, bucketMinutes }) {
    return this.#get(`/stats?minutes=${minutes}&bucketMinutes=${bucketMinutes}`);
  }

  queues() {
    return this.#get('/queues');
  }

  redrive(queue) {
    return this.#post(`/queues/${encodeURIComponent(queue)}/redrive`);
  }

  /** @param {'pause'|'resume'} action */
  setPaused(kind, action) {
    return this.#post(`/kinds/${encodeURIComponent(kind)}/${action}`);
  }

  workers() {
    return this.#get('/workers');
  }

  schedules() {
    return this.#get('/schedules');
  }

  /** @param {string} key the same for the same click: the job is started once */
  runNow(kind, key) {
    return this.#post(`/kinds/${encodeURIComponent(kind)}/run`, undefined, { 'idempotency-key': key });
  }

  requestSchema(kind) {
    return this.#get(`/kinds/${encodeURIComponent(kind)}/request-schema`);
  }

  /** Start a job for the caller. @param {string} key the same for the same click: the job is started once */
  start(kind, request, key) {
    return this.#api.call('POST', `/jobs/${encodeURIComponent(kind)}`, { body: request, headers: { 'idempotency-key': key } });
  }

  /** @returns {Promise<File>} */
  csv(filters) {
    return this.#file(`/jobs.csv?${filterQuery(filters)}`);
  }

  /** The whole request or result. @returns {Promise<File>} */
  payload(id, part) {
    return this.#file(`/jobs/${encodeURIComponent(id)}/payload/${part}`);
  }

  #get(path) {
    return this.#api.call('GET', `/admin${path}`);
  }

  #post(path, body, headers) {
    return this.#api.call('POST', `/admin${path}`, { body, headers });
  }

  async #file(path) {
    const answer = await this.#api.file(`/admin${path}`, PATIENT);
    try {
      const content = await answer.blob();
      const [, name] = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition')) ?? [];
      return new File([content], name ?? 'download', content);
    } catch {
      // The response may be incomplete.
      throw new ApiError({});
    }
  }
}
