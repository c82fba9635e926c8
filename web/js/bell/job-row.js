/** One job in the bell's list. Its elements are created once and changed in place, so that they keep the focus. */

import { bdi, button, details, h, icon, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { render } from '../renderers/index.js';
import { hasEnded } from '../feed/store.js';
import { actionButton } from './action-button.js';
import { strings } from '../strings.js';

const words = strings.job;
/** Their messages are for programmers. */
const UNEXPECTED = /^(Assertion|Attribute|Index|Key|Name|Type|ZeroDivision)Error$/;

export class JobRow {
  context;
  /** @type {import('../types.d.ts').Job|null} */
  job = null;
  /** Its title, different from that of any other row. */
  name;
  /** The place of its output. */
  live = h('div', { hidden: true });
  #shown = {};
  #progressAt = 0;
  #icon = h('span', { class: 'status-icon' });
  #title = h('div', { class: 'title' });
  #unseen = h('span', { class: 'unseen', hidden: true }, h('span', { class: 'sr-only' }, words.unseen));
  #status = h('span', { class: 'status' });
  #time = h('span', { class: 'time' });
  #step = h('span', { class: 'step' });
  #unfold = button('unfold', words.details, () => this.#toggle(), { 'aria-expanded': 'false' });
  #bar = h('div', { class: 'bar' }, h('div', {}));
  #error = h('div', { class: 'error' });
  #content = h('div', { class: 'content', hidden: true });
  #note = h('p', { class: 'note', hidden: true });
  #buttons = h('div', { class: 'buttons' });
  #download = null;
  #cancel = actionButton('cancel', words.cancel, 'quiet', this);
  #retry = actionButton('retry', words.retry, 'quiet', this);
  #clear = actionButton('clear', '', 'quiet', this);

  /** @param {import('../types.d.ts').RowContext} context */
  constructor(context) {
    this.context = context;
    this.#buttons.append(this.#cancel, this.#retry, this.#clear);
    const meta = h('p', {}, this.#status, ' ', this.#time, ' ', this.#step);
    const more = h('div', { class: 'body' }, this.#bar, this.#error, this.#content, this.live, this.#note);
    // The arrow keys move from row to row.
    this.element = h('li', { class: 'row', part: 'row', tabindex: '-1' }, this.#unseen, this.#icon, this.#title);
    this.element.append(h('div', { class: 'meta' }, meta, this.#unfold), this.#buttons, more);
  }

  /**
   * @param {import('../types.d.ts').Job} job
   * @param {boolean} unseen
   * @param {number} now the server's time
   * @param {string} name
   */
  update(job, unseen, now, name) {
    this.#unseen.hidden = !unseen;
    const { activeElement } = this.element.getRootNode();
    const held = this.element.contains(activeElement);
    if (this.job?.progress !== job.progress) this.#progressAt = now;
    if (this.job !== job) this.#rebuild(job);
    if (this.job !== job || this.name !== name) this.#label(name);
    this.job = job;
    this.name = name;
    this.tick(now);
    this.context.outputs?.update(this);
    // An element that is removed must not take the focus with it.
    if (held && !(activeElement.isConnected && activeElement.checkVisibility())) this.element.focus();
  }

  /** Update what changes with time. @param {number} now the server's time */
  tick(now) {
    setText(this.#time, timeOf(this.job, now, this.#progressAt));
  }

  #rebuild(job) {
    const { dataset } = this.element;
    // Only what ends in sight is celebrated.
    if (this.job) dataset.new = String(!hasEnded(this.job));
    dataset.status = job.status;
    const title = titleOf(job);
    this.#once('title', title, () => this.#title.replaceChildren(bdi(title)));
    this.#once('icon', job.status, () => this.#icon.replaceChildren(icon(job.status)));
    setText(this.#status, statusOf(job));
    const step = job.status === 'succeeded' ? this.#factOf(job) : stepOf(job);
    setText(this.#step, format.plain(step));
    setAttribute(this.#time, 'title', hasEnded(job) && format.moment(job.finishedAt));
    this.#showProgress(job);
    this.#once('more', [job.status, job.result, job.expiredAt, job.actions, job.error, job.finishedAt], () =>
      this.#showMore(job));
    this.#cancel.hidden = !job.actions.includes('cancel');
    this.#retry.hidden = !job.actions.includes('retry');
    this.#clear.hidden = !job.actions.includes('clear');
    // An error is outdated once the job has changed.
    if (this.job?.status !== job.status) this.#note.hidden = true;
  }

  /** Out of the list, a control is known by its name alone. */
  #label(name) {
    setAttribute(this.#bar, 'aria-label', words.progress(name));
    for (const control of this.element.querySelectorAll('button, summary')) {
      setAttribute(control, 'aria-label', words.named(control.textContent || words.clear, name));
    }
    for (const region of this.element.querySelectorAll('pre')) {
      region.dataset.name ??= region.getAttribute('aria-label');
      setAttribute(region, 'aria-label', words.named(region.dataset.name, name));
    }
  }

  #part(job, part) {
    const link = (target, text) => this.#link(target, text);
    return render(job, part, { h, bdi, details, link, strings, format });
  }

  /** What went wrong in a line, and what is behind "Details". */
  #showMore(job) {
    const error = job.status !== 'succeeded' && job.status !== 'running' && job.error;
    const line = error ? this.#part(job, 'error') ?? lineOf(error) : job.status === 'aborted' && words.aborted;
    this.#error.replaceChildren(...nodes(line));
    this.#download?.remove();
    this.#download = null;
    const result = job.status === 'succeeded' && this.#resultOf(job);
    const full = error && [error.class, error.message].filter(Boolean).join(': ');
    const times = [job.createdAt, job.startedAt, job.finishedAt].map(format.moment);
    this.#content.replaceChildren(
      ...nodes(result),
      ...nodes(full && h('pre', { tabindex: '0', role: 'region', 'aria-label': words.details }, bdi(full))),
      ...nodes(hasEnded(job) && h('p', { class: 'times' }, words.times(...times))),
    );
    // The row has one place for it.
    if (this.#download) this.#buttons.prepend(this.#download);
    this.#unfold.hidden = !this.#content.hasChildNodes();
    if (this.#unfold.hidden) this.#toggle(false);
  }

  #toggle(open = this.#content.hidden) {
    this.#content.hidden = !open;
    setAttribute(this.#unfold, 'aria-expanded', String(open));
    this.context.outputs?.update(this);
  }

  /** Whether its details are shown. */
  get isOpen() {
    return !this.#content.hidden;
  }

  #resultOf(job) {
    if (job.expiredAt) return h('p', {}, words.expired);
    const result = job.result && this.#part(job, 'result');
    if (!this.#download) this.#link(job, words.download);
    return result;
  }

  #factOf(job) {
    return job.expiredAt ? words.expiredShort : job.result && this.#part(job, 'summary');
  }

  /** A button that fetches a link when it is clicked: a link in the list would expire after minutes. */
  #link(job, text) {
    if (!job.actions.includes('open')) return null;
    return (this.#download = actionButton('download', text, 'soft', this));
  }

  #showProgress(job) {
    const running = job.status === 'running';
    this.#bar.hidden = !running;
    if (!running) return;
    const known = typeof job.progress === 'number';
    const percent = Math.round(Math.min(1, Math.max(0, job.progress)) * 100);
    const attributes = {
      role: 'progressbar',
      'aria-valuemin': known && '0',
      'aria-valuemax': known && '100',
      'aria-valuenow': known && percent,
      'aria-valuetext': job.progressMessage && format.plain(job.progressMessage),
      'data-unknown': !known && '',
    };
    for (const [name, value] of Object.entries(attributes)) setAttribute(this.#bar, name, value);
    this.#bar.firstElementChild.style.inlineSize = known ? `${percent}%` : '';
  }

  /** Show an error in the row, or none. @param {string} text */
  complain(text) {
    setText(this.#note, text);
    this.#note.hidden = !text;
    if (text) this.context.announce(text);
  }

  /** Show all of it, and focus it. */
  reveal() {
    if (!this.#unfold.hidden) this.#toggle(true);
    this.element.focus();
  }

  /** Run only when the value differs from the last time. */
  #once(name, value, work) {
    const text = JSON.stringify(value);
    if (this.#shown[name] === text) return;
    this.#shown[name] = text;
    work();
  }
}

/** A job's name. */
export const titleOf = (job) => format.plain(render(job, 'title', { strings }));

function statusOf({ status, cancelRequested, paused }) {
  if (cancelRequested && !hasEnded({ status })) return words.cancelling;
  if (paused) return words.paused;
  // A newer server may have more statuses than this page.
  return strings.status[status] ?? format.plain(status);
}

/** The text beside the status: how long the job still runs or has run, when it continues, how long ago it ended. */
function timeOf(job, now, progressAt) {
  if (hasEnded(job)) return words.ended(format.ago(now - Date.parse(job.finishedAt)), format.took(job.durationMs));
  if (job.status === 'running') {
    const started = Date.parse(job.startedAt);
    return words.left(format.left(job.progress, progressAt - started, now - progressAt)) || format.ticking(now - started);
  }
  const wait = Date.parse(job.availableAt) - now;
  // Small clock differences must not make a due job look delayed.
  if (wait >= 1000) return (job.status === 'retrying' ? words.retriesIn : words.startsIn)(format.ticking(wait));
  return job.status === 'retrying' ? words.startsSoon : format.ago(now - Date.parse(job.createdAt));
}

function stepOf(job) {
  if (job.status === 'running') {
    const share = typeof job.progress === 'number' ? format.share(job.progress) : '';
    return [share, job.progressMessage].filter(Boolean).join(' · ');
  }
  // Of the last attempt, if it was retried manually.
  if (job.status === 'pending') return '';
  return job.attempt > 1 || job.status === 'retrying' ? words.attempt(job.attempt, job.maxAttempts) : '';
}

/** An error in words for people; its class says something to programmers only. */
function lineOf(error) {
  const [first] = String(error.message ?? '').trim().split('\n');
  return first && !UNEXPECTED.test(error.class) ? first : words.unexpected;
}

const nodes = (content) => (content ? [typeof content === 'string' ? h('p', {}, bdi(content)) : content] : []);
