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
export const feedOf = (element) => feedAt(element.getAttribute('api'));

/** @param {string|null} [api] URL of the API; default: the server of this file */
export function feedAt(api) {
  const url = api == null ? new URL(config.api, new URL('..', import.meta.url)) : new URL(api, document.baseURI);
  const base = url.href.replace(/(?<!\/)\/+$/, '');
  if (!feeds.has(base)) feeds.set(base, new JobFeed({ base, openHub }));
  return feeds.get(base);
}
