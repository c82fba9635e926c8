/**
 * `<job-dashboard>`: the jobs of all users, for viewers and admins. Its state is part of the page's URL.
 *
 * Attribute: `api` (URL of the API; default: the server of this file). Property: `getToken`. Event:
 * `job-dashboard-auth` (no valid token). It shares its connection with the bells of the page.
 */

import { Announcer } from './bell/announcer.js';
import { AdminApi } from './dashboard/admin-api.js';
import { VIEWS, WINDOWS, readAddress, writeAddress } from './dashboard/url-state.js';
import { Cards } from './dashboard/cards.js';
import { JobDialog } from './dashboard/job-dialog.js';
import { JobsView } from './dashboard/jobs-view.js';
import { LaterView } from './dashboard/later-view.js';
import { blank, button, follow } from './dashboard/widgets.js';
import { Refresher } from './dashboard/refresher.js';
import { words } from './dashboard/strings.js';
import { h, keepFocus, setAttribute, setText, sheetOf } from './dom.js';
import { FeedElement } from './feed/feed-element.js';
import { duration, reason, timeOfDay } from './format.js';
import { strings } from './strings.js';

const LOOKS = ['tokens', 'dashboard', 'dashboard-filters', 'dashboard-tables', 'dashboard-charts', 'dashboard-dialogs', 'job-output'];
const SHEETS = LOOKS.map((name) => sheetOf(`${name}.css`));
const TICK = 1000;
/** Milliseconds between reads, with and without live updates. */
const POLL_LIVE = 60_000;
const POLL_OFF = 15_000;
const FORBIDDEN = 403;

export class JobDashboard extends FeedElement {
  #whose = null;
  #leave = null;
  #ticking = null;
  #context = null;
  #turn = null;
  #state = null;
  #views = {};
  #cards = null;
  #content = null;
  #dialog = null;
  #heardState = null;
  #readAt = null;
  #failing = false;
  #frame = null;
  #announcer = new Announcer();
  #readers = [];
  #connection = h('p', { class: 'connection' });
  #readOnly = h('span', { class: 'tag', hidden: true }, words.readOnly);
  #window = h('select', { onchange: () => this.#navigate({ window: this.#window.value }) });
  #links = {};
  #nav = h('nav', { 'aria-label': words.viewsLabel });
  #place = h('div', { class: 'view' });
  #frameElement;

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = SHEETS;
    keepFocus(this.shadowRoot);
    this.#window.append(...Object.keys(WINDOWS).map((value) => h('option', { value }, words.windows[value])));
    for (const view of VIEWS) {
      const onclick = follow(() => this.#navigate({ view, before: null, job: null }));
      this.#links[view] = h('a', { href: '?', onclick }, words.views[view]);
    }
    this.#nav.append(...Object.values(this.#links));
  }

  attach() {
    const head = h(
      'div',
      { class: 'head' },
      h('div', { class: 'title' }, h('h1', { tabindex: '-1' }, words.title), this.#readOnly),
      this.#connection,
      this.#nav,
      h('label', { class: 'window' }, h('span', { class: 'sr-only' }, words.window), this.#window),
    );
    this.#frameElement = h('div', { class: 'root' }, head, this.#place, this.#announcer.element);
    this.shadowRoot.replaceChildren(this.#frameElement);
    const leave = new AbortController();
    const { signal } = leave;
    this.#leave = leave;
    addEventListener('popstate', () => this.#fromAddress(), { signal });
    document.addEventListener('visibilitychange', () => this.#wake(), { signal });
    this.#ticking = setInterval(() => this.#tick(), TICK);
    this.#renderConnection();
    this.listen();
  }

  detach() {
    this.#stop();
    this.#whose = null;
    clearInterval(this.#ticking);
    this.#leave.abort();
  }

  connectedCallback() {
    super.connectedCallback();
    this.#fromAddress();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#dialog?.show(null);
  }

  /** Start for a new user: read their permissions, and show the jobs. */
  async #begin() {
    this.#stop();
    this.#whose = this.feed.whose;
    const turn = (this.#turn = {});
    this.#context = null;
    this.#state = null;
    this.#readAt = null;
    if (!this.getToken) return this.#message(words.signIn);
    const api = new AdminApi(this.feed.api);
    this.#message(words.loading);
    try {
      const options = await api.options();
      if (turn === this.#turn) this.#build(api, options);
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (turn !== this.#turn) return;
      if (error.status === FORBIDDEN) this.#forbid();
      else if (error.status === 401) this.#message(words.signIn);
      else this.#message(words.couldNotLoad, reason(error), button('primary', words.tryAgain, () => this.#begin()));
    }
  }

  /** The user has no access, or no longer. */
  #forbid() {
    this.#stop();
    this.#context = null;
    this.#message(words.forbidden, words.forbiddenWhy);
  }

  #message(title, ...more) {
    this.#frameElement.dataset.state = 'message';
    this.#place.replaceChildren(h('div', { role: 'status' }, blank(title, ...more)));
  }

  #build(api, options) {
    this.#context = {
      api,
      options,
      now: () => this.feed.now(),
      announce: (text) => this.#announcer.say(text),
      navigate: (change, how) => this.#navigate(change, how),
      address: (change) => this.#address(change),
      changed: () => this.#readAll(),
    };
    delete this.#frameElement.dataset.state;
    this.#readOnly.hidden = options.canAct;
    this.#cards = new Cards(this.#context);
    this.#dialog = new JobDialog(this.#context);
    this.#views = {};
    this.#content = h('div', { class: 'content' });
    this.#place.replaceChildren(this.#cards.element, this.#content, this.#dialog.element);
    const every = () => (this.feed.state === 'live' && !this.#failing ? POLL_LIVE : POLL_OFF);
    this.#readers = [
      new Refresher(() => this.#read(() => this.#views[this.#state.view].refresh()), { atLeast: 500, every }),
      new Refresher(() => this.#read(() => this.#readCards()), { atLeast: 5000, every }),
    ];
    this.#fromAddress();
    for (const reader of this.#readers) reader.start();
  }

  #stop() {
    this.#turn = null;
    for (const reader of this.#readers) reader.stop();
    this.#readers = [];
    this.#dialog?.show(null);
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
  }

  /**
   * @param {Partial<import('./types.d.ts').DashboardState>} change
   * @param {object} [how]
   * @param {(string|null)[]} [how.trail] where the newer pages begin, to go back to them
   */
  #navigate(change, { trail } = {}) {
    const address = this.#address(change);
    if (address === location.search) return;
    const known = history.state ?? {};
    // Closing goes back in the history, so that the browser's buttons work as expected.
    if (change.job === null && known.opened) return history.back();
    const moves = Object.keys(change).some((name) => name !== 'job');
    const data = { trail: trail ?? (moves ? [] : known.trail), opened: Boolean(change.job) };
    history.pushState(data, '', address || location.pathname);
    this.#fromAddress();
  }

  #address(change) {
    return writeAddress(location.search, { ...(this.#state ?? readAddress(location.search).state), ...change });
  }

  #fromAddress() {
    if (!this.#context) return;
    const { state, ignored } = readAddress(location.search);
    const before = this.#state;
    this.#state = state;
    this.#window.value = state.window;
    for (const [view, link] of Object.entries(this.#links)) {
      setAttribute(link, 'aria-current', view === state.view && 'page');
      link.setAttribute('href', this.#address({ view, before: null, job: null }) || '?');
    }
    this.#cards.readdress();
    const View = state.view === 'jobs' ? JobsView : LaterView;
    const view = (this.#views[state.view] ??= new View(this.#context, state.view));
    view.show(state, ignored);
    if (this.#content.firstElementChild !== view.element) this.#content.replaceChildren(view.element);
    this.#dialog.show(state.job);
    const same = before && JSON.stringify({ ...before, job: null }) === JSON.stringify({ ...state, job: null });
    if (same) return;
    this.#readers[0].now();
    if (before?.window !== state.window) this.#readers[1].now();
  }

  changed({ nudge, renewed }) {
    const { state, refused, whose } = this.feed;
    // A bell of the page has signed out.
    if (state === 'signed-out' && !refused && this.getToken) {
      this.getToken = null;
      return;
    }
    // Another user, or another token that may have access.
    if (whose !== this.#whose || (renewed && !this.#context)) this.#begin();
    const before = this.#heardState;
    this.#heardState = state;
    if (state === 'signed-out') {
      for (const reader of this.#readers) reader.stop();
      const init = { bubbles: true, composed: true };
      if (refused && before !== state) this.dispatchEvent(new CustomEvent('job-dashboard-auth', init));
    } else if (state !== before && (state === 'live' || before === 'signed-out')) this.#wake();
    if (nudge && !document.hidden) {
      for (const reader of this.#readers) reader.ask();
      this.#dialog?.changed(nudge.ids);
    }
    this.#frame ??= requestAnimationFrame(() => this.#renderConnection());
  }

  /** Something may have been missed. */
  #wake() {
    if (document.hidden || this.feed.state === 'signed-out') return;
    for (const reader of this.#readers) reader.start();
    this.#dialog?.changed();
  }

  #readAll() {
    this.#dialog.changed();
    return Promise.all(this.#readers.map((reader) => reader.now()));
  }

  async #read(work) {
    if (document.hidden) return;
    const turn = this.#turn;
    try {
      await work();
      if (turn !== this.#turn) return;
      // Once the server answers again, nothing on screen says that it does not.
      const notes = this.#failing ? this.#place.querySelectorAll(':not(.loading) > .note') : [];
      for (const note of notes) note.hidden = true;
      this.#failing = false;
      this.#readAt = Date.now();
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (turn !== this.#turn) return;
      if (error.status === FORBIDDEN) return this.#forbid();
      this.#failing = true;
    }
    this.#renderConnection();
  }

  async #readCards() {
    const turn = this.#turn;
    const { window } = this.#state;
    const stats = await this.#context.api.stats(WINDOWS[window]);
    if (turn === this.#turn && window === this.#state.window) this.#cards.show(stats);
  }

  #tick() {
    if (document.hidden || !this.#context) return;
    this.#views[this.#state?.view]?.tick?.();
    this.#cards.tick();
    this.#dialog.tick();
  }

  #renderConnection() {
    this.#frame = null;
    const texts = strings.connection;
    const { state } = this.feed;
    let text = texts[state];
    if (state === 'signed-out') text = this.#readAt ? texts.signedOut : texts.neverSignedIn;
    else if (this.#failing) text = this.#readAt ? texts.stale(timeOfDay(this.#readAt)) : texts.unreachable;
    else if (state === 'off') text = words.pollEvery(duration(POLL_OFF));
    this.#connection.dataset.state = this.#failing && state !== 'signed-out' ? 'stale' : state;
    setText(this.#connection, text);
  }
}

// Unless it is already defined, by another copy or URL of this file.
customElements.get('job-dashboard') ?? customElements.define('job-dashboard', JobDashboard);
