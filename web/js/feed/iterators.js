/** The jobs of a feed as async iterators: the list, one job, and what a job emits. */

import { Following } from './following.js';
import { JobWatch, userChanged } from './job-watch.js';
import { readOutput } from './outputs.js';

/** @param {import('./feed.js').JobFeed} feed @returns {import('../types.d.ts').Jobs} */
export const jobsOf = (feed) => ({
  list: ({ signal } = {}) => new Following(listOf(feed), signal),
  watch: (id, { signal } = {}) => new Following(jobOf(feed, id), signal),
  stream: (id, topic = null, { signal } = {}) => new Following(chunksOf(feed, id, topic), signal),
});

function listOf(feed) {
  let whose = null;
  let shown = null;
  return {
    start: (wake) => feed.subscribe(wake),
    take() {
      if (whose === null && feed.state !== 'signed-out') ({ whose } = feed);
      if (whose !== null && whose !== feed.whose) throw userChanged();
      if (whose === null || !feed.store.loaded) return null;
      const value = feed.store.list();
      const now = JSON.stringify(value.map(({ id, version }) => [id, version]));
      if (now === shown) return null;
      shown = now;
      return { done: false, value };
    },
  };
}

function jobOf(feed, id) {
  let watch;
  let shown = -1;
  return {
    start(wake) {
      watch = new JobWatch(feed, id, wake);
      return () => watch.stop();
    },
    take() {
      const { job } = watch;
      if (watch.error) throw watch.error;
      if (job && job.version > shown) {
        shown = job.version;
        return { done: false, value: job };
      }
      return watch.hasEnded ? { done: true, value: undefined } : null;
    },
  };
}

function chunksOf(feed, id, topic) {
  let reading;
  let seq = 0;
  return {
    start(wake) {
      reading = readOutput(feed, id, wake);
      return reading.stop;
    },
    take() {
      const { output, error, isDone } = reading.reader;
      const chunk = output.next(seq, topic);
      if (chunk && !error) {
        const value = { ...chunk, omitted: output.gap > seq && output.gap < chunk.seq };
        seq = chunk.seq;
        return { done: false, value };
      }
      if (error) throw error;
      return isDone ? { done: true, value: undefined } : null;
    },
  };
}
