/** What a job has emitted, in its dialog: followed while it runs, of one topic or of all, to copy and to download. */

import { h } from '../dom.js';
import * as format from '../format.js';
import { JobOutput } from '../feed/output.js';
import { LOG, OutputView } from '../output/output-view.js';
import { save } from './download.js';
import { Refresher } from './refresher.js';
import { words } from './strings.js';
import { Note, button, copier } from './widgets.js';

const texts = words.job.output;
const EVERY = 1000;
/** The most that the server keeps for a job, and some more. */
const MOST = 20 * 1024 * 1024;
const RUNS = new Set(['running', 'retrying']);

export class JobLog {
  #context;
  #job = null;
  #output;
  #topics = new Set();
  #seq = 0;
  #view = new OutputView();
  #note = new Note();
  #refresher = new Refresher(() => this.#read(), { atLeast: EVERY, every: () => (this.#isFollowing ? EVERY : Infinity) });
  #follow = h('input', { type: 'checkbox', checked: true, onchange: () => this.#changeFollowing() });
  #followLabel = h('label', { class: 'follow' }, this.#follow, texts.follow);
  #topic = h('select', { 'aria-label': texts.topic, onchange: () => this.#showAgain() });

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    const buttons = [
      this.#topic,
      this.#followLabel,
      button('small', texts.download, () => this.#download()),
      copier(texts.title, () => this.#text(), context.announce),
    ];
    const heading = h('h3', {}, texts.title);
    const bar = h('div', { class: 'row-of-buttons' }, ...buttons);
    this.element = h('section', { class: 'log', hidden: true }, heading, this.#note.element, this.#view.element, bar);
  }

  /** Show the output of this job, or none. @param {import('../types.d.ts').AdminJob|null} job */
  show(job) {
    const isNew = job?.id !== this.#job?.id;
    const isChanged = job?.status !== this.#job?.status;
    this.#job = job;
    if (isNew) this.#begin();
    if (!job) return;
    this.#followLabel.hidden = !RUNS.has(job.status);
    // A read that is under way may be older than the end.
    if (isNew) this.#refresher.start();
    else if (isChanged) this.#refresher.start();
  }

  get #isFollowing() {
    return this.#job !== null && this.#follow.checked && RUNS.has(this.#job.status) && !document.hidden;
  }

  #changeFollowing() {
    if (this.#follow.checked) this.#refresher.start();
    else this.#refresher.stop();
  }

  #begin() {
    this.#refresher.stop();
    this.#output = new JobOutput(MOST);
    this.#topics.clear();
    this.#topic.replaceChildren(h('option', { value: '' }, texts.all));
    this.#follow.checked = true;
    this.#note.hide();
    this.element.hidden = true;
    this.#showAgain();
  }

  async #read() {
    const output = this.#output;
    try {
      let page;
      do {
        const mark = output.mark();
        page = await this.#context.api.stream(this.#job.id, mark.last);
        if (output !== this.#output || this.#refresher.isStopped) return;
        output.read(page, mark);
        this.#show();
      } while (page.more);
      this.#note.hide();
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      // Of a job that is gone the dialog tells.
      if (output === this.#output && ![401, 404].includes(error.status)) this.#fail(error);
    }
  }

  #fail(error) {
    this.element.hidden = false;
    this.#note.show(`${texts.failed}. ${format.reason(error)}`);
  }

  #show() {
    const chunks = [...this.#chunks(this.#seq)];
    for (const { topic } of chunks) this.#add(topic);
    this.#seq = this.#output.last;
    this.element.hidden = this.element.hidden && this.#view.isEmpty && chunks.length === 0;
    this.#view.add(chunks.filter(({ topic }) => !this.#topic.value || topic === this.#topic.value));
  }

  #showAgain() {
    this.#view.clear();
    this.#seq = 0;
    this.#show();
  }

  #add(topic) {
    if (this.#topics.has(topic)) return;
    this.#topics.add(topic);
    this.#topic.append(h('option', { value: topic }, topic));
    this.#topic.hidden = this.#topics.size < 2;
  }

  *#chunks(seq, topic = null) {
    for (let next; (next = this.#output.next(seq, topic)); seq = next.seq) {
      yield { ...next, omitted: this.#output.gap > seq && this.#output.gap < next.seq };
    }
  }

  /** Lines of the log, and what else was emitted as it stands. */
  #text() {
    let text = '';
    let last = null;
    for (const chunk of this.#chunks(0, this.#topic.value || null)) {
      if (last !== null && last !== chunk.topic && !text.endsWith('\n')) text += '\n';
      text += chunk.topic === LOG ? `${chunk.text}\n` : chunk.text;
      last = chunk.topic;
    }
    return text;
  }

  #download() {
    const name = ['job', this.#job.id, this.#topic.value].filter(Boolean).join('-');
    save(new File([this.#text()], `${name}.txt`, { type: 'text/plain' }));
  }
}
