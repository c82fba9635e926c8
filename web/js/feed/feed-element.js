/** The base class of elements that show a feed: API, token, and life cycle. */

import { feedOf } from './feed-registry.js';

const SIGN_IN_WITHIN = 3000;

/** An element `attach`es to a feed, calls `listen` when it is ready for its `changed`, and `detach`es at the end. */
export class FeedElement extends HTMLElement {
  static observedAttributes = ['api'];

  /** @type {import('./feed.js').JobFeed|null} */
  feed = null;

  #getToken;
  #unsubscribe = null;

  /**
   * Called before each request: the bearer token, or null if signed out. A new function replaces the previous one;
   * if its token is for another user, the feed starts again. Null also removes the jobs from the screen.
   * @type {import('../types.d.ts').GetToken|null}
   */
  get getToken() {
    return this.#getToken ?? null;
  }

  set getToken(getToken) {
    this.#getToken = getToken ?? null;
    // A removed element must not change a connection that others may use.
    if (this.#unsubscribe && this.isConnected) this.#signIn();
  }

  connectedCallback() {
    // A page may have set the property before this class was defined.
    if (Object.hasOwn(this, 'getToken')) {
      const early = this.getToken;
      delete this.getToken;
      this.getToken = early;
    }
    this.#attach();
  }

  disconnectedCallback() {
    // An element that is moved, or replaced by another one, is attached again within the same task.
    setTimeout(() => this.isConnected || this.#detach());
  }

  /** With `moveBefore` nothing changes. */
  connectedMoveCallback() {}

  attributeChangedCallback(name, before, now) {
    // Not before the page has set the API too: a token must not be sent to another one.
    if (before !== now && this.feed) queueMicrotask(() => this.isConnected && this.#attach());
  }

  listen() {
    if (this.#unsubscribe || !this.isConnected) return;
    // First, so that nothing starts with a function of a removed element.
    this.#signIn();
    this.#unsubscribe = this.feed.subscribe((change) => this.isConnected && this.changed(change));
    this.feed.changed();
    setTimeout(() => {
      if (this.feed?.isTold === false) console.warn(`${this.localName} has no getToken`);
    }, SIGN_IN_WITHIN);
  }

  #attach() {
    const feed = feedOf(this);
    if (feed !== this.feed) {
      this.#detach();
      this.feed = feed;
      this.attach();
    } else if (this.#unsubscribe) this.#signIn();
  }

  #signIn() {
    if (this.#getToken !== undefined) this.feed.signIn(this.#getToken);
  }

  #detach() {
    if (!this.feed) return;
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    this.detach();
    this.feed = null;
  }
}
