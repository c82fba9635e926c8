/** What the elements that show a feed have in common: the API, the token, and coming and going. */

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
   * Asked before each request: the bearer token, or null for nobody. A further function takes the place of the one
   * before, and all starts over when its token is for somebody else; null takes the jobs off the screen too.
   * @type {import('../types.d.ts').GetToken|null}
   */
  get getToken() {
    return this.#getToken ?? null;
  }

  set getToken(getToken) {
    this.#getToken = getToken ?? null;
    // An element that was taken away has no say in a connection that others may use.
    if (this.#unsubscribe && this.isConnected) this.#signIn();
  }

  connectedCallback() {
    // A page may have set the property before this class was there.
    if (Object.hasOwn(this, 'getToken')) {
      const early = this.getToken;
      delete this.getToken;
      this.getToken = early;
    }
    this.#attach();
  }

  disconnectedCallback() {
    // What a page moves comes back within the same task, and so does what takes its place.
    setTimeout(() => this.isConnected || this.#detach());
  }

  /** Moved by `moveBefore`, it goes on as it is. */
  connectedMoveCallback() {}

  attributeChangedCallback(name, before, now) {
    // Not before the page has set what belongs to it: a token must not go to another API.
    if (before !== now && this.feed) queueMicrotask(() => this.isConnected && this.#attach());
  }

  listen() {
    if (this.#unsubscribe || !this.isConnected) return;
    // First, so that nothing starts with a function that another element has left behind.
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
