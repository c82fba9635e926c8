/**
 * What jobs emit, in the rows of the bell: while a job runs the last line of its log, with all of it behind a button, or
 * the text of one topic if the kind has one; after its end all of it under its details. Only what is on screen is read.
 */

import { bdi, button, h, setText, sheetOf } from '../dom.js';
import * as format from '../format.js';
import { readOutput } from '../feed/outputs.js';
import { hasEnded } from '../feed/store.js';
import { LOG, OutputView } from '../output/output-view.js';
import { words } from '../output/strings.js';
import { streamOf } from '../renderers/index.js';
import { strings } from '../strings.js';

const RUNS = new Set(['running', 'retrying']);
let sheet;

export class RowOutputs {
  #feed;
  /** By row. @type {Map<import('./job-row.js').JobRow, RowOutput>} */
  #outputs = new Map();
  #rows = new WeakMap();
  #watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) this.#see(this.#rows.get(target), isIntersecting);
  });

  /** @param {import('../feed/feed.js').JobFeed} feed */
  constructor(feed) {
    this.#feed = feed;
  }

  /** A row has changed. @param {import('./job-row.js').JobRow} row */
  update(row) {
    if (!row.job) return;
    const isNeeded = RUNS.has(row.job.status) || row.isOpen;
    let output = this.#outputs.get(row);
    if (!output && isNeeded) {
      output = new RowOutput(this.#feed, row);
      this.#outputs.set(row, output);
      this.#rows.set(row.element, row);
      this.#watcher.observe(row.element);
    }
    output?.update();
  }

  /** What was unfolded when the job ended stays until it is out of sight. */
  #see(row, isSeen) {
    const output = this.#outputs.get(row);
    if (!output) return;
    output.see(isSeen);
    if (isSeen || RUNS.has(row.job.status)) return;
    if (row.isOpen && row.element.isConnected) return;
    this.#watcher.unobserve(row.element);
    this.#outputs.delete(row);
  }
}

class RowOutput {
  #feed;
  #row;
  #isSeen = false;
  #isUnfolded = false;
  #wasEnded = false;
  #reading = null;
  /** Whether there is nothing more to read: all is here, or it was refused. */
  #isOver = false;
  #seq = 0;
  #topic;
  #view;
  #line = h('p', { class: 'last-line' });
  #note = h('p', { class: 'times', hidden: true });
  #unfold = button('unfold', words.title, () => this.#toggle(), { 'aria-expanded': 'false' });
  #head = h('div', { class: 'live-head', hidden: true }, this.#line, this.#unfold);

  constructor(feed, row) {
    this.#feed = feed;
    this.#row = row;
    this.#topic = (!hasEnded(row.job) && streamOf(row.job.kind)) || null;
    this.#view = new OutputView(this.#topic !== null);
    this.#isUnfolded = this.#topic !== null;
    this.#view.element.hidden = true;
    row.live.className = 'live';
    row.live.replaceChildren(this.#head, this.#view.element, this.#note);
  }

  see(isSeen) {
    this.#isSeen = isSeen;
    if (isSeen) adopt(this.#row.element.getRootNode());
    if (!isSeen) this.#isOver = false;
    // It has ended out of sight.
    else if (!this.#reading && hasEnded(this.#row.job)) this.#view.clear();
    this.update();
    if (!isSeen && !this.#row.isOpen) this.#row.live.hidden = true;
  }

  update() {
    const { job, isOpen } = this.#row;
    if (!hasEnded(job)) this.#isOver = false;
    const isWanted = this.#isSeen && !this.#isOver && (RUNS.has(job.status) || isOpen);
    if (isWanted && !this.#reading) this.#begin();
    // The last of it comes after the end.
    const isFinishing = this.#isSeen && hasEnded(job) && this.#view.element.checkVisibility();
    if (this.#reading && !isWanted && !isFinishing) this.#end();
    this.#show();
  }

  #begin() {
    this.#seq = 0;
    this.#view.clear();
    setText(this.#line, '');
    this.#reading = readOutput(this.#feed, this.#row.job.id, () => this.#read());
    this.#read();
  }

  #end() {
    this.#reading.stop();
    this.#reading = null;
  }

  #read() {
    if (!this.#reading) return;
    const { output, error, isDone } = this.#reading.reader;
    const chunks = [];
    for (let next; (next = output.next(this.#seq, this.#topic)); this.#seq = next.seq) {
      chunks.push({ ...next, omitted: output.gap > this.#seq && output.gap < next.seq });
    }
    this.#view.add(chunks);
    const last = chunks.findLast(({ topic, text }) => topic === LOG && text.trim());
    if (last) this.#line.replaceChildren(bdi(last.text.trim().split('\n').at(-1)));
    const nothing = isDone && this.#view.isEmpty && words.none;
    setText(this.#note, error ? `${words.failed}. ${format.reason(error)}` : nothing || '');
    this.#isOver = isDone || error !== null;
    if (this.#isOver) this.#end();
    this.#show();
  }

  #show() {
    const { job, isOpen, live, name } = this.#row;
    const { element, isEmpty } = this.#view;
    const isEnded = hasEnded(job);
    this.#head.hidden = isEnded || isEmpty || this.#topic !== null;
    const isShown = !isEmpty && (this.#isUnfolded || (isEnded && isOpen));
    this.#note.hidden = !this.#note.textContent || !isOpen;
    live.hidden = this.#head.hidden && !isShown && this.#note.hidden;
    this.#view.show(isShown, isEnded !== this.#wasEnded);
    this.#wasEnded = isEnded;
    element.dataset.name = words.title;
    element.setAttribute('aria-label', words.of(name));
    this.#unfold.setAttribute('aria-label', strings.job.named(words.title, name));
  }

  #toggle() {
    this.#isUnfolded = !this.#isUnfolded;
    this.#unfold.setAttribute('aria-expanded', String(this.#isUnfolded));
    this.#show();
  }
}

/** Style the output in a bell, when there is one on screen. @param {ShadowRoot} root */
function adopt(root) {
  sheet ??= sheetOf('job-output.css', '');
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}
