/** All details of one job, in a dialog over the list; updated while it is open. */

import { bdi, details, h, icon, patchChildren, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { render } from '../renderers/index.js';
import { strings } from '../strings.js';
import { save } from './download.js';
import { Note, act, blank, button, copier, exactDuration, refocus, statusOf } from './widgets.js';
import { Refresher } from './refresher.js';
import { words } from './strings.js';

const texts = words.job;
const PARTS = ['request', 'result'];
/** What one looks for first. */
const STRIP = ['user', 'created', 'wait', 'run', 'attempt'];
const COPIED = ['id', 'userId', 'trace'];

export class JobDialog {
  #context;
  #id = null;
  #job = null;
  #shown = {};
  #failed = false;
  #attempts = new Map();
  #refresher = new Refresher(() => this.#read(), { atLeast: 500, every: () => 15_000 });
  #title = h('h2', { id: 'job-title', tabindex: '-1' });
  #status = h('p', { class: 'job-status', role: 'status' });
  #note = new Note();
  #bar = h('div', { class: 'bar', hidden: true }, h('div', {}));
  #buttons = {};
  #actions = h('div', { class: 'row-of-buttons', hidden: true });
  #message = h('div', { class: 'message' });
  #strip = h('dl', { class: 'strip' });
  #facts = h('dl', { class: 'facts' });
  #error = h('section', { hidden: true, 'aria-label': texts.error });
  #history = h('ol', { class: 'attempts', role: 'list' });
  #noHistory = h('p', { class: 'muted' }, texts.noAttempts);
  #payloads = Object.fromEntries(PARTS.map((part) => [part, h('div', { class: 'payload' })]));
  /** Loaded with the first job. @type {import('./job-log.js').JobLog|null} */
  #log = null;
  #loading;
  #output = h('div', { hidden: true });
  #content;

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    for (const action of ['retry', 'cancel']) {
      this.#buttons[action] = button(null, texts.act[action], (event) => this.#act(action, event.currentTarget));
    }
    this.#actions.append(...Object.values(this.#buttons));
    const close = button('quiet close', '', () => this.element.close(), { 'aria-label': texts.close });
    close.append(icon('close'));
    const heading = (text) => h('h3', {}, text);
    this.#content = h(
      'div',
      { hidden: true },
      this.#bar,
      this.#strip,
      this.#error,
      this.#output,
      h('section', {}, heading(texts.attempts), this.#history, this.#noHistory),
      ...PARTS.map((part) => h('section', {}, heading(texts[part]), this.#payloads[part])),
      h('section', {}, heading(texts.facts), this.#facts),
    );
    this.element = h(
      'dialog',
      {
        class: 'sheet',
        'aria-labelledby': 'job-title',
        onclose: () => this.#closed(),
        closedby: 'any',
      },
      h('div', { class: 'sheet-head' }, this.#title, close, h('div', { class: 'toolbar' }, this.#status, this.#actions)),
      h('div', { class: 'sheet-body' }, this.#note.element, this.#message, this.#content),
    );
  }

  /** Show this job, or close the dialog. @param {string|null} id */
  show(id) {
    if (id === this.#id) return;
    this.#id = id;
    this.#refresher.stop();
    this.#log?.show(null);
    if (id === null) return this.element.close();
    this.#job = null;
    this.#shown = {};
    this.#attempts.clear();
    this.#note.hide();
    this.#content.hidden = this.#actions.hidden = true;
    setText(this.#title, texts.loading);
    this.#status.replaceChildren();
    this.#message.replaceChildren();
    if (!this.element.open) this.element.showModal();
    this.element.querySelector('.sheet-body').scrollTop = 0;
    this.#title.focus();
    this.#refresher.start();
    this.#loading ??= import('./job-log.js').then(({ JobLog }) => {
      this.#log = new JobLog(this.#context);
      this.#output.replaceWith(this.#log.element);
      this.#log.show(this.#job);
    }, (error) => console.warn('A module is missing:', error));
  }

  /** Some jobs have changed. @param {string[]|undefined} ids */
  changed(ids) {
    if (this.#id !== null && (!ids || ids.includes(this.#id))) this.#refresher.ask();
  }

  tick() {
    if (this.#job) this.#showTimes();
  }

  #closed() {
    // The element was moved on the page: show the dialog again.
    if (this.element.open) return;
    refocus(this.element, `tr a[href*="${this.#job?.id}"]`);
    if (this.#id === null) return;
    this.#id = null;
    this.#refresher.stop();
    this.#log?.show(null);
    this.#context.navigate({ job: null });
  }

  async #read() {
    const id = this.#id;
    try {
      const job = await this.#context.api.job(id);
      if (id !== this.#id) return;
      if (this.#failed) this.#note.hide();
      this.#failed = false;
      this.#render(job);
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (id === this.#id && error.status !== 401) this.#fail(error);
    }
  }

  #fail(error) {
    this.#failed = true;
    if (this.#job && error.status !== 404) return this.#note.show(`${words.couldNotLoad}. ${format.reason(error)}`);
    const gone = error.status === 404;
    setText(this.#title, gone ? texts.gone : words.couldNotLoad);
    this.#status.replaceChildren();
    const again = !gone && button(null, words.tryAgain, () => this.#refresher.now());
    this.#message.replaceChildren(blank(gone ? texts.goneHint : format.reason(error), null, again));
    this.#content.hidden = this.#actions.hidden = true;
  }

  #render(job) {
    if (!this.#job) this.#message.replaceChildren();
    this.#job = job;
    this.#content.hidden = this.#actions.hidden = false;
    const title = format.plain(render(job, 'title', { strings }));
    setText(this.#title, title);
    setAttribute(this.#title, 'title', title);
    this.#once('status', [job.status, job.cancelRequested, job.paused], () => this.#status.replaceChildren(statusOf(job)));
    for (const [action, element] of Object.entries(this.#buttons)) {
      element.hidden = !job.actions.includes(action);
      setAttribute(element, 'aria-label', words.list.act(action, job.id));
    }
    this.#showProgress(job);
    this.#log?.show(job);
    this.#once('error', [job.error, job.status], () => this.#showError(job));
    this.#showAttempts(job);
    for (const part of PARTS) this.#once(part, job[part], () => this.#showPayload(job, part));
    this.#showTimes();
  }

  #showProgress(job) {
    this.#bar.hidden = job.status !== 'running';
    const known = typeof job.progress === 'number';
    const percent = known && Math.round(100 * Math.min(1, Math.max(0, job.progress)));
    const attributes = {
      role: 'progressbar',
      'aria-label': strings.job.progress(this.#title.textContent),
      'aria-valuenow': percent,
      'aria-valuetext': job.progressMessage && format.plain(job.progressMessage),
      'data-unknown': !known && '',
    };
    for (const [name, value] of Object.entries(attributes)) setAttribute(this.#bar, name, value);
    this.#bar.firstElementChild.style.inlineSize = known ? `${percent}%` : '';
  }

  #showError({ error, status }) {
    const shown = error && status !== 'succeeded' && status !== 'running';
    this.#error.hidden = !shown;
    const text = () => [`${error.class}: ${error.message}`, error.traceback].filter(Boolean).join('\n\n');
    const copy = copier(texts.error, text, this.#context.announce);
    this.#error.replaceChildren(...(shown ? [...errorOf(error, this.#context.options.canAct), copy] : []));
  }

  #showAttempts({ attempts }) {
    // Each is created once and kept, so that expanded details stay expanded.
    const elements = attempts.map((attempt, index) => {
      const text = JSON.stringify(attempt);
      const known = this.#attempts.get(index);
      if (known?.text === text) return known.element;
      const element = attemptOf(attempt, this.#context.options.canAct);
      this.#attempts.set(index, { text, element });
      return element;
    });
    patchChildren(this.#history, elements.reverse());
    this.#noHistory.hidden = elements.length > 0;
  }

  #showPayload(job, part) {
    const payload = job[part];
    const place = this.#payloads[part];
    if (!payload) return place.replaceChildren(h('p', { class: 'muted' }, texts.noResult));
    const raw = button('small', texts.raw, (event) => this.#download(part, event.currentTarget), {
      'aria-label': `${texts.raw}: ${texts[part]}`,
    });
    if (payload.value === null) {
      const { beginning, bytes } = payload;
      const region = { tabindex: '0', role: 'region', 'aria-label': texts.beginning(part) };
      const said = texts.cut(format.bytes(beginning.length), format.bytes(bytes));
      return place.replaceChildren(h('p', { class: 'muted' }, said), h('pre', region, bdi(beginning)), raw);
    }
    const tools = { h, bdi, details, link: () => null, strings, format };
    const shown = { ...job, request: payload.value, [part]: payload.value };
    const copy = copier(texts[part], () => JSON.stringify(payload.value, null, 2), this.#context.announce);
    const buttons = h('div', { class: 'row-of-buttons' }, raw, copy);
    place.replaceChildren(...[render(shown, part, tools)].filter(Boolean), buttons);
    const pre = place.querySelector('pre');
    if (pre) pre.setAttribute('aria-label', texts[part]);
  }

  #showTimes() {
    const job = this.#job;
    const now = this.#context.now();
    const when = (iso) => iso && `${format.moment(iso)} (${format.ago(Math.max(0, now - Date.parse(iso)))})`;
    const running = job.status === 'running';
    const ran = running ? format.ticking(now - Date.parse(job.startedAt)) : exactDuration(job.durationMs);
    // The last representable year means that the job waits for others.
    const due = Date.parse(job.availableAt) > now && !/^9999/.test(job.availableAt) && format.moment(job.availableAt);
    const facts = {
      id: job.id,
      kind: job.kind,
      queue: job.queue,
      user: job.userName ?? job.userId,
      userId: job.userName && job.userId,
      created: when(job.createdAt),
      due,
      started: when(job.startedAt),
      finished: when(job.finishedAt),
      wait: exactDuration(job.waitMs),
      run: ran,
      attempt: texts.of(job.attempt, job.maxAttempts),
      worker: job.workerId,
      lost: job.lostCount,
      sent: texts.sent(job.sentGen, job.dispatchGen),
      unique: job.uniqueKey,
      parent: job.parentId,
      trace: job.traceparent,
      schema: job.schemaVersion,
    };
    const known = Object.entries(facts).filter(([, value]) => value);
    const pair = ([name, value]) => {
      const copy = COPIED.includes(name) && copier(texts.fact[name], () => value, this.#context.announce);
      return h('div', {}, h('dt', {}, texts.fact[name]), h('dd', {}, h('bdi', { 'data-fact': name }), copy));
    };
    this.#once('facts', known.map(([name]) => name), () => {
      this.#strip.replaceChildren(...known.filter(([name]) => STRIP.includes(name)).map(pair));
      this.#facts.replaceChildren(...known.filter(([name]) => !STRIP.includes(name)).map(pair));
    });
    for (const [name, value] of known) {
      setText(this.#content.querySelector(`[data-fact="${name}"]`), format.plain(value));
    }
  }

  #act(action, pressed) {
    const { api, announce, changed } = this.#context;
    const id = this.#id;
    return act(pressed, this.#note, texts.failed(action), announce, async () => {
      await api[action](id);
      announce(words.list.acted[action](id));
      await this.#refresher.now();
      changed();
    });
  }

  #download(part, pressed) {
    const { api, announce } = this.#context;
    return act(pressed, this.#note, texts.rawFailed, announce, async () => {
      save(await api.payload(this.#id, part));
    });
  }

  #once(name, value, work) {
    const text = JSON.stringify(value);
    if (this.#shown[name] === text) return;
    this.#shown[name] = text;
    work();
  }
}

function attemptOf(attempt, canAct) {
  const outcome = texts.outcome[attempt.outcome];
  const waited = Date.parse(attempt.startedAt) - Date.parse(attempt.dueAt);
  const ran = attempt.endedAt && Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt);
  const parts = [
    h('span', { class: 'outcome', 'data-outcome': attempt.outcome ?? 'running' }, outcome ?? attempt.outcome),
    h('span', {}, format.moment(attempt.startedAt)),
    h('span', {}, texts.waited(exactDuration(waited))),
    ran !== null && h('span', {}, texts.ran(exactDuration(ran))),
    h('span', {}, bdi(attempt.workerId)),
  ];
  const name = texts.attempt(attempt.attempt);
  const head = h('p', { class: 'attempt' }, h('strong', {}, name), ...parts);
  return h('li', {}, head, ...(attempt.error ? errorOf(attempt.error, canAct, name) : []));
}

/** @param {string} [attempt] not for the job itself */
function errorOf({ class: type, message, traceback }, canAct, attempt) {
  const line = h('p', { class: 'error-line' }, h('strong', {}, bdi(type), ': '), bdi(message));
  if (!traceback) return [line, !canAct && !attempt && h('p', { class: 'muted' }, texts.hidden)].filter(Boolean);
  const name = [texts.traceback, attempt].filter(Boolean).join(', ');
  const pre = h('pre', { tabindex: '0', role: 'region', 'aria-label': name }, bdi(traceback));
  return [line, details(name, { open: !attempt }, pre)];
}
