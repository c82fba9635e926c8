/** The outputs that a page reads: one reader for each job of a feed, however many elements and loops show it. */

import { OutputReader } from './output-reader.js';

/** By feed, then by id. @type {WeakMap<import('./feed.js').JobFeed, Map<string, {reader: OutputReader, listeners: Set<() => void>}>>} */
const known = new WeakMap();

/**
 * Read the output of a job from now on.
 * @param {import('./feed.js').JobFeed} feed
 * @param {string|number} id
 * @param {() => void} listener called when there is more, and at the end
 * @returns {{reader: OutputReader, stop: () => void}} when all have stopped, it is no longer read, and forgotten
 */
export function readOutput(feed, id, listener) {
  const key = String(id);
  if (!known.has(feed)) known.set(feed, new Map());
  const outputs = known.get(feed);
  feed.onChunks ??= (frame) => outputs.get(String(frame?.id))?.reader.push(frame);
  // One that has failed, such as that of another user, is not continued.
  if (outputs.get(key)?.reader.error) outputs.delete(key);
  if (!outputs.has(key)) {
    const listeners = new Set();
    const reader = new OutputReader(feed, id, () => [...listeners].forEach((each) => each()));
    outputs.set(key, { reader, listeners });
  }
  const output = outputs.get(key);
  output.listeners.add(listener);
  const stop = () => {
    output.listeners.delete(listener);
    if (output.listeners.size) return;
    output.reader.stop();
    if (outputs.get(key) === output) outputs.delete(key);
  };
  return { reader: output.reader, stop };
}
