/** The feeds of this page: one for each API, however many elements show its jobs. */

import { config } from '../../config.js';
import { JobFeed } from './feed.js';

const feeds = new Map();

/** Loaded apart from the rest: an element can be used, and shows jobs, before the hub's client is there. */
const openHub = async (options) => (await import('./signalr.js')).openHub(options);

/**
 * The feed of the API that an element names in its attribute `api`; without it, of the server this file comes from.
 * @param {HTMLElement} element
 * @returns {JobFeed}
 */
export function feedOf(element) {
  const own = new URL(config.api, new URL('..', import.meta.url));
  const url = element.hasAttribute('api') ? new URL(element.getAttribute('api'), document.baseURI) : own;
  const base = url.href.replace(/(?<!\/)\/+$/, '');
  if (!feeds.has(base)) feeds.set(base, new JobFeed({ base, openHub }));
  return feeds.get(base);
}
