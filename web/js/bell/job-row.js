/** One job in the bell's list. Its elements are created once and changed in place, so that they keep the focus. */

import { allowedUrl, bdi, button, details, h, icon, isBusy, setAttribute, setBusy, setText } from '../dom.js';
import * as format from '../format.js';
import { render } from '../renderers/index.js';
import { hasEnded } from '../feed/store.js';
import { strings } from '../strings.en.js';

const words = strings.job;

export class JobRow {
  #context;
  #job = null;
  #name;
  #shown = {};
  #icon = h('span', { class: 'status-icon' });
  #title = h('div', { class: 'title' });
  #status = h('span', { class: 'status' });
  #time = h('span', { class: 'time' });
  #step = h('span', { class: 'step' });
  #unseen = h('span', { class: 'unseen', hidden: true }, words.unseen);
  #bar = h('div', { class: 'bar' }, h('div', {}));
  #result = h('div', { class: 'result' });
  #error = h('div', { class: 'error' });
  #note = h('p', { class: 'note', hidden: true });
  #clear = button('quiet clear', icon('close'), (event) => this.#act('clear', event));
  #cancel = button(null, words.cancel, (event) => this.#act('cancel', event));
  #retry = button(null, words.retry, (event) => this.#act('retry', event));
  #buttons = h('div', { class: 'buttons' }, this.#cancel, this.#retry);

  /** @param {import('../types.d.ts').RowContext} context */
  constructor(context) {
    this.#context = context;
    const meta = h('p', { class: 'meta' }, this.#status, this.#time, this.#step, this.#unseen);
    const body = h('div', { class: 'body' }, this.#title, meta);
    body.append(this.#bar, this.#result, this.#error, this.#note, this.#buttons);
    // The arrow keys move from row to row.
    this.element = h('li', { class: 'row', part: 'row', tabindex: '-1' }, this.#icon, body, this.#clear);
  }

  /**
   * @param {import('../types.d.ts').Job} job
   * @param {boolean} unseen
   * @param {number} now the server's time
   * @param {string} name its title, different from that of any other row
   */
  update(job, unseen, now, name) {
    this.#unseen.hidden = !unseen;
    const { activeElement } = this.element.getRootNode();
    const held = this.element.contains(activeElement);
    if (this.#job !== job) this.#rebuild(job);
    if (this.#job !== job || this.#name !== name) this.#label(name);
    this.#job = job;
    this.#name = name;
    this.tick(now);
    // An element that is removed must not take the focus with it.
    if (held && !(activeElement.isConnected && activeElement.checkVisibility())) this.element.focus();
  }

  /** Update what changes with time. @param {number} now the server's time */
  tick(now) {
    setText(this.#time, timeOf(this.#job, now));
  }

  #rebuild(job) {
    this.element.dataset.status = job.status;
    const title = titleOf(job);
    this.#once('title', title, () => this.#title.replaceChildren(bdi(title)));
    this.#once('icon', job.status, () => this.#icon.replaceChildren(icon(job.status)));
    setText(this.#status, statusOf(job));
    setText(this.#step, format.plain(stepOf(job)));
    this.#showProgress(job);
    this.#once('result', [job.status, job.result, job.expiredAt, job.actions], () =>
      this.#result.replaceChildren(...nodes(job.status === 'succeeded' && this.#resultOf(job))));
    this.#once('error', [job.status, job.error], () =>
      this.#error.replaceChildren(...nodes(this.#part(job, 'error') ?? errorOf(job))));
    this.#cancel.hidden = !job.actions.includes('cancel');
    this.#retry.hidden = !job.actions.includes('retry');
    this.#clear.hidden = !job.actions.includes('clear');
    this.#buttons.hidden = this.#cancel.hidden && this.#retry.hidden;
    // An error is outdated once the job has changed.
    if (this.#job?.status !== job.status) this.#note.hidden = true;
  }

  /** Out of the list, a control is known by its name alone. */
  #label(name) {
    setAttribute(this.#bar, 'aria-label', words.progress(name));
    for (const control of this.element.querySelectorAll('button, summary')) {
      setAttribute(control, 'aria-label', words.named(control.textContent || words.clear, name));
    }
  }

  #part(job, part) {
    const link = (target, text) => this.#link(target, text);
    return render(job, part, { h, bdi, details, link, strings, format });
  }

  #resultOf(job) {
    if (job.expiredAt) return h('p', { class: 'expired' }, words.expired);
    return job.result && this.#part(job, 'result');
  }

  /** A button that fetches a link when it is clicked: a link in the list would expire after minutes. */
  #link(job, text) {
    if (!job.actions.includes('open')) return null;
    const download = button('primary', icon('download'), (event) => this.#act('download', event));
    download.append(text);
    return download;
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

  async #act(action, event) {
    const { currentTarget } = event;
    if (isBusy(currentTarget)) return;
    setBusy(currentTarget, true);
    this.#note.hidden = true;
    try {
      const answer = await this.#context.actions[action](this.#job);
      if (action === 'download') this.#follow(answer);
    } catch (error) {
      this.complain(format.failure(strings.failure[action], error));
    } finally {
      setBusy(currentTarget, false);
    }
  }

  #follow(url) {
    const allowed = allowedUrl(url, this.#context.origins);
    if (allowed) h('a', { href: allowed, rel: 'noreferrer' }).click();
    else this.complain(strings.failure.refusedLink);
  }

  /** Show an error in the row. @param {string} text */
  complain(text) {
    setText(this.#note, text);
    this.#note.hidden = false;
    this.#context.announce(text);
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

function statusOf({ status, cancelRequested }) {
  if (cancelRequested && !hasEnded({ status })) return words.cancelling;
  // A newer server may have more statuses than this page.
  return strings.status[status] ?? format.plain(status);
}

/** The text beside the status: how long the job has run, when it continues, how long ago it ended. */
function timeOf(job, now) {
  if (hasEnded(job)) {
    return `${format.duration(job.durationMs)} · ${format.ago(now - Date.parse(job.finishedAt))}`;
  }
  if (job.status === 'running') return format.ticking(now - Date.parse(job.startedAt));
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
  if (job.status === 'pending') return ''; // of its last attempt, if it was retried manually
  return job.attempt > 1 || job.status === 'retrying' ? words.attempt(job.attempt, job.maxAttempts) : '';
}

function errorOf(job) {
  const error = job.error ?? (job.status === 'aborted' ? { message: words.aborted } : null);
  if (!error || job.status === 'succeeded' || job.status === 'running') return null;
  const message = String(error.message ?? '');
  const [first, ...rest] = message.split('\n');
  const line = h('p', {}, error.class && h('strong', {}, bdi(error.class), first && ': '), bdi(first));
  if (!rest.length && first.length <= 200) return line;
  const full = h('pre', { tabindex: '0', role: 'region', 'aria-label': words.details }, bdi(message));
  return h('div', {}, line, details(words.details, {}, full));
}

const nodes = (content) => (content ? [typeof content === 'string' ? bdi(content) : content] : []);
