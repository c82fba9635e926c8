/** The user's actions on jobs: shown immediately, and reverted with an ApiError if the server rejects them. */

import { hasEnded } from './store.js';

export class JobActions {
  #feed;

  /** @param {import('./feed.js').JobFeed} feed */
  constructor(feed) {
    this.#feed = feed;
  }

  /** Clear one job. It is removed immediately, and restored on failure. */
  clear(job) {
    const { api, store } = this.#feed;
    return this.#hidden([job.id], async () => {
      try {
        await api.clear(job.id);
      } catch (error) {
        if (error.status !== 404) throw error;
      }
      store.cleared(job.id);
    });
  }

  /** Clear all jobs that have ended. @returns {Promise<import('../types.d.ts').Cleared>} */
  clearFinished() {
    const { api, store } = this.#feed;
    const ids = store.list().filter(hasEnded).map((job) => job.id);
    return this.#hidden(ids, async () => {
      const { cleared, clearedAt } = await api.clearFinished();
      this.#feed.removed(cleared);
      return { ids: cleared.map(({ id }) => id), since: clearedAt };
    });
  }

  /** Undo clearing. @param {import('../types.d.ts').Cleared} cleared */
  async undo({ since }) {
    await this.#feed.api.undoClear(since);
    await this.#feed.sync();
  }

  /** Mark these as seen. On failure they are new again. */
  async markSeen(jobs) {
    if (jobs.length === 0) return;
    const { api, store } = this.#feed;
    store.markSeen(jobs);
    this.#feed.changed();
    try {
      await api.seen(jobs.map((job) => job.id));
    } catch {
      store.unmarkSeen(jobs);
      this.#feed.changed();
    }
  }

  async cancel(job) {
    await this.#shown(this.#feed.api.cancel(job.id), (answer) => this.#feed.push(answer));
  }

  async retry(job) {
    await this.#shown(this.#feed.api.retry(job.id), (answer) => this.#feed.track(answer));
  }

  /** A link that works for a few minutes. @returns {Promise<string>} */
  async download(job) {
    const { url } = await this.#feed.api.download(job.id);
    return url;
  }

  async #hidden(ids, work) {
    const { store } = this.#feed;
    store.hide(ids);
    this.#feed.changed();
    try {
      return await this.#orSync(work());
    } finally {
      store.unhide(ids);
      this.#feed.changed();
    }
  }

  /** Merge the response, unless the user has changed. */
  async #shown(request, show) {
    const { whose } = this.#feed;
    const answer = await this.#orSync(request);
    if (whose === this.#feed.whose) show(answer);
  }

  async #orSync(request) {
    try {
      return await request;
    } catch (error) {
      // Rejected: the job on this page may be outdated.
      this.#feed.sync();
      throw error;
    }
  }
}
