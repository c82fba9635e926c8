/** The panel of the bell: the connection's state, the list of jobs, clearing and its undo. */

import { button, h, isBusy, patchChildren, setBusy, setText } from '../dom.js';
import { duration, failure, numbered, timeOfDay } from '../format.js';
import { JobRow, titleOf } from './job-row.js';
import { hasEnded } from '../feed/store.js';
import { strings } from '../strings.js';

const words = strings.bell;
const UNDO_FOR = 8000;

export class JobPanel {
  #feed;
  #context;
  #rows = new Map();
  #first = null;
  #offered = new Map();
  #undoable = null;
  #failures = 0;
  #loading;
  #undoTimer = null;
  #heading = h('h2', { id: 'title', tabindex: '-1' }, words.title);
  #connection = h('p', { class: 'connection' });
  #empty = h('div', { class: 'empty' });
  #note = h('p', { class: 'note', hidden: true });
  #clearAll = button('quiet', words.clearFinished, () => this.#clearFinished());
  /** What is in progress, and what is finished. */
  #groups = [words.inProgress, words.finished].map((title) => {
    const list = h('ul', { class: 'list', role: 'list' });
    const head = h('div', { class: 'group' }, h('h3', {}, title));
    return { list, head };
  });
  #more = button('more', words.showMore, () => this.#showMore());
  #undoText = h('span');
  #undo = button(null, words.undo, () => this.#undoClear());
  #undoBar = h('div', { class: 'undo', hidden: true }, this.#undoText, this.#undo);

  /**
   * @param {import('../feed/feed.js').JobFeed} feed
   * @param {Omit<import('../types.d.ts').RowContext, 'actions'>} context
   */
  constructor(feed, context) {
    this.#feed = feed;
    this.#context = { ...context, actions: feed.actions };
    const head = h('div', { class: 'head' }, this.#heading, this.#connection);
    this.#groups[1].head.append(this.#clearAll);
    const groups = this.#groups.flatMap((group) => [group.head, group.list]);
    const scroller = h('div', { class: 'scroller' }, this.#note, this.#empty, ...groups, this.#more);
    this.element = h(
      'section',
      { id: 'panel', class: 'panel', part: 'panel', popover: 'auto', role: 'dialog', 'aria-labelledby': 'title' },
      head,
      scroller,
      this.#undoBar,
    );
    this.element.addEventListener('keydown', (event) => this.#onKey(event));
    for (const event of ['focusout', 'pointerleave']) this.#undoBar.addEventListener(event, () => this.#undoSoonOver());
    for (const event of ['focusin', 'pointerenter']) this.#undoBar.addEventListener(event, () => this.#keepUndo());
  }

  /** Must be called before the panel opens. */
  prepare() {
    this.#offered.clear();
    this.render();
    this.#loading ??= import('./row-outputs.js').then(({ RowOutputs }) => {
      this.#context.outputs = new RowOutputs(this.#feed);
      this.render();
    }, (error) => console.warn('A module is missing:', error));
  }

  focus() {
    if (this.#first) this.#first.reveal();
    else this.#heading.focus();
    this.#first = null;
  }

  /** Open at a job, if it is listed. @param {{id: string|number}} job */
  reveal({ id }) {
    const isOpen = this.element.matches(':popover-open');
    if (isOpen) this.render();
    else this.element.showPopover();
    this.#first = this.#rows.get(String(id)) ?? null;
    if (isOpen) this.focus();
  }

  /** Show an error above the list. @param {string} text */
  complain(text) {
    setText(this.#note, text);
    this.#note.hidden = !text;
    if (text) this.#context.announce(text);
  }

  /** Show the jobs of the feed, and mark them as seen. */
  render() {
    const { store } = this.#feed;
    const jobs = store.list();
    this.#markSeen(jobs);
    this.#renderRows(jobs);
    this.#renderEmpty(jobs);
    this.#renderConnection();
    this.#more.hidden = !store.more;
  }

  /** Update the displayed times. */
  tick() {
    const now = this.#feed.now();
    for (const row of this.#rows.values()) row.tick(now);
  }

  #renderRows(jobs) {
    const { store } = this.#feed;
    const now = this.#feed.now();
    // If clearing fails, the job reappears with its row and the row's error.
    for (const id of this.#rows.keys()) if (!store.get(id)) this.#rows.delete(id);
    const counts = new Map();
    // The oldest first, so that a new job renames no other one.
    for (const job of jobs.toReversed()) {
      const id = String(job.id);
      if (!this.#rows.has(id)) this.#rows.set(id, new JobRow(this.#context));
      const row = this.#rows.get(id);
      const fresh = hasEnded(job) && (store.isUnseen(job) || this.#offered.has(id));
      row.update(job, fresh, now, numbered(counts, titleOf(job)));
    }
    const focused = this.#focused();
    const index = this.#shown().indexOf(focused?.closest('.row'));
    const lists = [jobs.filter((job) => !hasEnded(job)), jobs.filter(hasEnded).sort(lastEndedFirst)];
    this.#groups.forEach(({ head, list }, group) => {
      patchChildren(list, lists[group].map((job) => this.#rows.get(String(job.id)).element));
      head.hidden = list.hidden = lists[group].length === 0;
    });
    if (index < 0) return;
    const rows = this.#shown();
    // A row that moves to the other group keeps the focus.
    if (focused.isConnected) focused.focus({ preventScroll: true });
    else (rows[index] ?? rows.at(-1) ?? this.#heading).focus();
  }

  #renderEmpty(jobs) {
    const { state, store } = this.#feed;
    const signedOut = state === 'signed-out';
    this.#empty.hidden = jobs.length > 0;
    this.#empty.dataset.loading = String(!store.loaded && !signedOut);
    const hint = signedOut ? words.signedOutHint : store.loaded ? words.emptyHint : '';
    const title = store.loaded || signedOut ? words.empty : words.loading;
    if (this.#empty.textContent !== title + hint) {
      this.#empty.replaceChildren(h('p', {}, h('strong', {}, title)), h('p', {}, hint));
    }
  }

  #renderConnection() {
    const { state, failures } = this.#feed;
    // Once the server answers again, nothing on screen says that it does not.
    if (this.#failures > failures) for (const note of this.element.querySelectorAll('.note')) note.hidden = true;
    this.#failures = failures;
    this.#connection.dataset.state = failures && state !== 'signed-out' ? 'stale' : state;
    setText(this.#connection, connectionText(this.#feed));
  }

  #markSeen(jobs) {
    if (document.hidden) return;
    const { store, actions } = this.#feed;
    const fresh = jobs.filter((job) => store.isUnseen(job) && this.#offered.get(String(job.id)) !== job.version);
    for (const job of fresh) this.#offered.set(String(job.id), job.version);
    actions.markSeen(fresh);
  }

  async #clearFinished() {
    await this.#busy(this.#clearAll, async () => {
      const byKeyboard = this.#clearAll.matches(':focus-visible');
      this.#undoable = await this.#feed.actions.clearFinished();
      // Another tab did it first.
      if (this.#undoable.ids.length === 0) return;
      const text = words.cleared(this.#undoable.ids.length);
      setText(this.#undoText, text);
      this.#context.announce(text);
      this.#undoBar.hidden = false;
      this.#undoSoonOver();
      // The pressed button is gone. While undo has the focus, it does not time out.
      (byKeyboard ? this.#undo : this.#heading).focus();
    }, strings.failure.clear);
  }

  async #undoClear() {
    await this.#busy(this.#undo, async () => {
      await this.#feed.actions.undo(this.#undoable);
      this.#endUndo();
    }, strings.failure.undo);
    if (!this.#undoBar.hidden) this.#undoSoonOver();
  }

  async #showMore() {
    await this.#busy(this.#more, async () => {
      const before = new Set(this.#shown());
      await this.#feed.loadMore();
      this.render();
      this.#shown().find((row) => !before.has(row))?.focus();
    }, strings.failure.more);
  }

  async #busy(pressed, work, complaint) {
    if (isBusy(pressed)) return;
    setBusy(pressed, true);
    this.complain('');
    try {
      await work();
    } catch (error) {
      this.complain(failure(complaint, error));
    } finally {
      setBusy(pressed, false);
    }
  }

  #keepUndo() {
    clearTimeout(this.#undoTimer);
  }

  #undoSoonOver() {
    clearTimeout(this.#undoTimer);
    const isUsed = () => isBusy(this.#undo) || this.#undoBar.matches(':hover, :focus-within');
    this.#undoTimer = setTimeout(() => (isUsed() ? this.#undoSoonOver() : this.#endUndo()), UNDO_FOR);
  }

  #endUndo() {
    clearTimeout(this.#undoTimer);
    this.#undoBar.hidden = true;
  }

  #shown() {
    return this.#groups.flatMap(({ list }) => [...list.children]);
  }

  #focused() {
    return this.element.getRootNode().activeElement;
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.target.closest('pre')) return;
    const rows = this.#shown();
    // From above the list move to its first row, from below it to its last.
    const isBelow = event.target.matches('.more, .switch');
    const index = isBelow ? rows.length : rows.indexOf(event.target.closest('.row'));
    rows[index + step]?.focus();
    event.preventDefault();
  }
}

const lastEndedFirst = (a, b) => Date.parse(b.finishedAt) - Date.parse(a.finishedAt);

function connectionText({ state, failures, readAt, pollEvery, store }) {
  const texts = strings.connection;
  if (state === 'signed-out') return store.loaded ? texts.signedOut : texts.neverSignedIn;
  if (state === 'paused') return texts.paused;
  if (failures) return readAt ? texts.stale(timeOfDay(readAt)) : texts.unreachable;
  return state === 'off' ? texts.off(duration(pollEvery)) : texts[state];
}
