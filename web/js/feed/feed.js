/**
 * The caller's jobs, kept up to date by pushes, and by a snapshot whenever one may have been missed. All bells of
 * one API on a page share one feed.
 */

import { PAGE, SnapshotReader, createApi } from '../api.js';
import { Connection, browserPage } from './connection.js';
import { JobActions } from './job-actions.js';
import { JobStore, hasEnded } from './store.js';
import { TokenSource } from './token-source.js';

/** Milliseconds between reads without live updates: while jobs are unfinished, and otherwise. */
const POLL_ACTIVE = 1500;
const POLL_IDLE = 30_000;
/** The same with live updates, in case a push was lost. */
const POLL_LIVE = 5 * 60_000;
const PAUSE_AFTER = 2 * 60_000;
const POLL_HIDDEN = 60_000;
const RECONNECTING_TRIES = 3;
const CLOCK_JUMP = 5000;
const NOTHING = Object.freeze({ updated: [], ended: [] });

export class JobFeed {
  store = new JobStore();
  /** Time of the last read, by this machine's clock. @type {number|null} */
  readAt = null;
  /** Number of failed reads since then. */
  failures = 0;
  /** Changes whenever the jobs are, or may be, those of another user. */
  whose = 0;
  /** Set by what reads the output of jobs. @type {((frame: import('../types.d.ts').Chunks) => void)|null} */
  onChunks = null;
  api;
  actions = new JobActions(this);

  #page;
  #connection;
  #reader;
  #source = new TokenSource((change) => this.#tokenChanged(change));
  #listeners = new Set();
  #told = new WeakSet();
  #running = false;
  #signedOut = false;
  #paused = false;
  #refused = null;
  #started = new Set();
  #identity = 0;
  #knownIdentity = 0;
  #reading = null;
  #readAgain = false;
  /** Why the last read failed. */
  #failure = null;
  #clock = Date.now() - performance.now();
  #whole = false;
  #wasOff = false;
  #timer = null;
  #pauseTimer = null;
  #unwatch = null;

  /**
   * @param {object} options
   * @param {string} options.base absolute URL of the API
   * @param {import('../types.d.ts').OpenHub} options.openHub
   * @param {typeof browserPage} [options.page]
   */
  constructor({ base, openHub, page = browserPage }) {
    this.#page = page;
    const access = { base, getToken: () => this.#source.get(), onRefused: (token) => this.#onRefused(token) };
    this.api = createApi(access);
    this.#reader = new SnapshotReader(this.api, this.store);
    const handlers = {
      // Jobs that changed together come in one push.
      job: (...jobs) => jobs.forEach((job) => this.push(job)),
      removed: (removed) => this.removed(removed),
      // To admins, for the dashboard: jobs of any users have changed.
      nudge: (nudge) => this.changed({ ...NOTHING, nudge }),
      chunks: (frame) => this.onChunks?.(frame),
    };
    const open = () => openHub({ ...access, handlers });
    this.#connection = new Connection(open, () => this.#connectionChanged());
  }

  /** @returns {import('../types.d.ts').FeedState} */
  get state() {
    if (this.#signedOut || !this.#source.getToken) return 'signed-out';
    if (this.#paused) return 'paused';
    const { live, wasLive, tries } = this.#connection;
    if (live) return 'live';
    if (!tries) return 'connecting';
    return wasLive && tries <= RECONNECTING_TRIES ? 'reconnecting' : 'off';
  }

  /** Whether a sign-in is required; not after the page has signed out itself. */
  get refused() {
    return this.#signedOut;
  }

  /** Whether the page has set `getToken`, possibly to null. */
  get isTold() {
    return this.#source.getToken !== undefined;
  }

  /** Milliseconds between two reads in the current state. */
  get pollEvery() {
    if (this.#connection.live && !this.failures) return POLL_LIVE;
    const waiting = this.store.counts.running > 0 || !this.store.loaded;
    const own = waiting ? Math.min(POLL_IDLE, POLL_ACTIVE * 2 ** this.failures) : POLL_IDLE;
    return Math.min(POLL_LIVE, Math.max(own, this.#failure?.retryAfter ?? 0));
  }

  /** The server's time, in milliseconds. */
  now() {
    if (this.#clockJumped()) this.sync();
    return this.store.serverNow(Date.now());
  }

  /**
   * @param {(change: import('../types.d.ts').Change) => void} listener called after every change
   * @returns {() => void} ends it; the feed stops with its last listener
   */
  subscribe(listener) {
    this.#listeners.add(listener);
    if (this.#source.getToken && !this.#running) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  /** True for the first caller per change: an announcement must not be made once per bell. */
  isNews(change) {
    const told = this.#told.has(change);
    this.#told.add(change);
    return !told;
  }

  /**
   * Start. A new function replaces the previous one; the feed starts again if its token is for another user.
   * @param {import('../types.d.ts').GetToken|null} getToken called before each request; null forgets the user and the
   *   jobs
   */
  signIn(getToken) {
    const source = this.#source;
    const isNew = getToken !== source.getToken;
    source.getToken = getToken || null;
    if (!getToken) this.#leave();
    else if (this.#running) {
      if (isNew || this.#signedOut) this.#look();
    } else {
      // Jobs from before may be those of another user.
      if (isNew) this.#forget();
      if (this.#listeners.size) this.#start();
    }
  }

  /** Read the list; once more if called during a read. */
  sync() {
    return this.#paused ? Promise.resolve() : this.#sync();
  }

  #sync() {
    if (!this.#running || this.#signedOut) return Promise.resolve();
    if (this.#reading) {
      this.#readAgain = true;
      return this.#reading;
    }
    clearTimeout(this.#timer);
    this.#clockJumped();
    this.#readAgain = false;
    const reading = this.#read().finally(() => {
      // It belonged to the previous user.
      if (this.#reading !== reading) return null;
      this.#reading = null;
      return this.#readAgain ? this.sync() : this.#plan();
    });
    this.#reading = reading;
    return reading;
  }

  /** Show older jobs too. @throws {import('../api.js').ApiError} */
  async loadMore() {
    const reader = this.#reader;
    const { pages } = reader;
    // Pushes may have brought more than these pages hold.
    reader.pages = Math.max(pages, Math.floor(this.store.list().length / PAGE)) + 1;
    await this.sync();
    if (!this.#failure) return;
    reader.pages = pages;
    throw this.#failure;
  }

  /** Merge one job, from a push or from a response. @param {import('../types.d.ts').Job} job */
  push(job) {
    const { changed, ended, outside } = this.store.apply(job);
    if (outside && (hasEnded(job) || job.status === 'pending')) this.sync();
    if (changed) this.changed({ updated: [job], ended: ended ? [job] : [] });
    // Without a hub the time to the next read depends on whether a job runs.
    if (changed && !this.#connection.live && !this.#reading) this.#plan();
  }

  /** Merge a job that was started or retried in this tab, whose end is to be announced. */
  track(job) {
    this.#started.add(String(job.id));
    this.push(job);
    const known = this.store.get(job.id);
    // The push arrived before the response of the start.
    if (known && hasEnded(known)) this.changed({ ...NOTHING, early: [known] });
  }

  /** Those that were started in this tab; each is returned once. @param {import('../types.d.ts').Job[]} ended */
  takeStarted(ended) {
    return ended.filter(({ id }) => this.#started.delete(String(id)));
  }

  removed(removed) {
    const { store } = this;
    const beyond = removed.some(({ id }) => !store.knows(id));
    const changes = removed.map(({ id, version }) => store.remove(id, version));
    if (changes.includes(true)) this.changed();
    // The counts include jobs that are not listed, and a list with further pages must not be empty.
    if (store.more && (beyond || store.list().length === 0)) this.sync();
  }

  /** Notify all listeners. */
  changed(change = NOTHING) {
    for (const listener of this.#listeners) listener(change);
  }

  async #read() {
    const identity = this.#identity;
    const newcomer = identity !== this.#knownIdentity;
    const mark = this.store.mark();
    if (this.#whole) this.#reader.forget();
    this.#whole = false;
    try {
      const snapshot = await this.#reader.read();
      if (identity !== this.#identity) return;
      const change = this.store.merge(snapshot, mark, newcomer);
      this.#knownIdentity = identity;
      this.failures = 0;
      this.#failure = null;
      this.readAt = Date.now();
      // Jobs that ended before the page was opened are not announced.
      this.changed(newcomer ? NOTHING : change);
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (identity !== this.#identity) return;
      this.#failure = error;
      if (error.status !== 401) this.failures += 1;
      this.changed();
    }
  }

  #start() {
    this.#stop();
    this.#running = true;
    this.#unwatch = this.#page?.watch((event) => this.#onPage(event));
    if (this.#page?.hidden()) this.#onPage('hidden');
    this.changed({ ...NOTHING, renewed: true });
    this.#look();
  }

  #tokenChanged(change) {
    if (change === 'renewed') return this.changed({ ...NOTHING, renewed: true });
    // If the user may have changed, keep the current list until the new one is read.
    if (change === 'other') this.#forget();
    this.whose += 1;
    this.#start();
  }

  #leave() {
    this.#forget();
    this.#stop();
    this.changed();
  }

  #forget() {
    this.whose += 1;
    this.#source.forget();
    this.store.forget();
    this.#started.clear();
    this.readAt = null;
  }

  #stop() {
    this.#running = false;
    this.#identity += 1;
    this.#source.reset();
    // A pending read belongs to the previous user.
    this.#reading = null;
    this.#reader = new SnapshotReader(this.api, this.store, this.#reader.pages);
    this.#signedOut = false;
    this.#paused = false;
    this.#refused = null;
    this.failures = 0;
    this.#failure = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#pauseTimer);
    this.#unwatch?.();
    this.#connection.stop();
  }

  #connectionChanged() {
    const isOff = this.state === 'off';
    if (isOff && !this.#wasOff) console.warn('Failed to start live updates, trying again');
    this.#wasOff = isOff;
    // Connected: read what was missed. Disconnected: poll.
    this.sync();
    this.changed();
  }

  /** Whether this machine's clock was changed or suspended since the last check; then read the server's time again. */
  #clockJumped() {
    const before = this.#clock;
    this.#clock = Date.now() - performance.now();
    const jumped = Math.abs(this.#clock - before) > CLOCK_JUMP;
    this.#whole ||= jumped;
    return jumped;
  }

  #onRefused(token) {
    // Ignore a late response to a request of the previous user.
    if (!this.#running || this.#signedOut || !this.#source.hasIssued(token)) return;
    this.#refused = token;
    this.#signedOut = true;
    this.#paused = false;
    this.#connection.stop();
    this.#plan();
    this.changed();
  }

  #onPage(event) {
    // A browser that puts the page into its back/forward cache closes the socket, and logs its URL with the token.
    if (event === 'left') return this.#pause();
    if (event === 'hidden') {
      clearTimeout(this.#pauseTimer);
      this.#pauseTimer = setTimeout(() => {
        this.#pause();
        this.#plan();
      }, PAUSE_AFTER);
      return;
    }
    if (event === 'visible') clearTimeout(this.#pauseTimer);
    if (this.#signedOut) {
      this.#look();
    } else if (event === 'visible' || !this.#paused) {
      this.#paused = false;
      this.#connection.start();
      this.#connection.hurry();
      this.sync();
    }
  }

  #pause() {
    if (this.#signedOut) return;
    this.#paused = true;
    clearTimeout(this.#timer);
    this.#connection.stop();
    this.changed();
  }

  /** Get a token before anything is sent: the user may have changed or signed out. */
  async #look() {
    const identity = this.#identity;
    const token = await this.#source.get().catch(() => undefined);
    if (identity !== this.#identity || !this.#running) return;
    if (this.#signedOut) {
      if (token && token !== this.#refused) this.#start();
      else this.#plan();
    } else if (token === null) this.#onRefused(null);
    else if (!this.#paused) {
      this.#connection.start();
      const isUnread = identity !== this.#knownIdentity;
      if ((isUnread || !token) && !this.#reading && !this.failures) this.sync();
    }
  }

  #plan() {
    clearTimeout(this.#timer);
    if (!this.#running) return;
    if (this.#signedOut) this.#timer = setTimeout(() => this.#look(), POLL_IDLE);
    else if (!this.#paused) this.#timer = setTimeout(() => this.sync(), this.pollEvery);
    else {
      // A hidden tab tells in its title what ends or is seen elsewhere; without either it reads nothing.
      const { running, unseen } = this.store.counts;
      if (running || unseen) this.#timer = setTimeout(() => this.#sync(), running ? POLL_HIDDEN : POLL_LIVE);
    }
  }
}
