/** The feeds of this page: one for each API, however many elements show its jobs. */

import { config } from '../../config.js';
import { JobFeed } from './feed.js';

const feeds = new Map();

/** Loaded separately: an element shows jobs before the hub's client is loaded. */
const openHub = async (options) => (await import('./signalr.js')).openHub(options);

/**
 * The feed of the API in the attribute `api` of an element; default: the server of this file.
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
