/**
 * The jobs of the user of a page, for pages that show them without the bell:
 *
 *     import { openJobs } from '/js/feed/jobs.js';
 *     const jobs = openJobs({ getToken });
 *     for await (const { text } of jobs.stream(id, 'log')) page.append(text);
 *
 * All of them, and all bells of the page for the same API, share one connection, which is open as long as one of them is
 * in use. A loop stops with `break`, with `return()` of its iterator, or with the signal that was passed; then reading
 * stops. Each call starts a new iterator, which begins with the first `next`.
 *
 * Without a token the iterators wait. When the user signs out, or another one signs in, those that have begun fail with
 * an ApiError of status 401: start them again for the new user. After a token has expired they wait until `getToken`
 * returns a new one. While the server or the network is down they wait and try again. They fail with the server's error
 * if it refuses: an ApiError, of status 404 if there is no such job of this user.
 */

import { feedAt } from './feed-registry.js';
import { jobsOf } from './iterators.js';

export { ApiError } from '../api.js';

/**
 * @param {object} [options]
 * @param {string} [options.api] URL of the API; default: the server of this file
 * @param {import('../types.d.ts').GetToken|null} [options.getToken] called before each request, replaces the function
 *   that was set before, here or on a bell, and signs out if it is null; not needed on a page with a bell
 * @returns {import('../types.d.ts').Jobs}
 */
export function openJobs({ api, getToken } = {}) {
  const feed = feedAt(api);
  if (getToken !== undefined) feed.signIn(getToken);
  return jobsOf(feed);
}
