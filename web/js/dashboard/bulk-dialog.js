/** Confirms bulk retries and cancellations, and shows their progress and the jobs that were not changed. */

import { bdi, h, setAttribute, setText } from '../dom.js';
import * as format from '../format.js';
import { strings } from '../strings.js';
import { FILTERS } from './url-state.js';
import { button, refocus } from './widgets.js';
import { words } from './strings.js';

const texts = words.bulk;
const DOUBLE_CLICK = 700;

export class BulkDialog {
  #context;
  #plan = null;
  #turn = 0;
  #stop = null;
  #title = h('h2', { id: 'bulk-title', tabindex: '-1' });
  #body = h('div', { class: 'bulk-body' });
  #buttons = h('div', { class: 'row-of-buttons' });
  #bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': texts.progress }, h('div', {}));
  #said = h('p', { role: 'status' });

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.element = h(
      'dialog',
      {
        class: 'small',
        'aria-labelledby': 'bulk-title',
        onclose: () => this.#closed(),
        oncancel: (event) => this.#escaped(event),
      },
      this.#title,
      this.#body,
      this.#buttons,
    );
  }

  /** @param {ReturnType<typeof import('./bulk-plans.js').matching>} plan */
  async open(plan) {
    this.#plan = plan;
    const turn = (this.#turn += 1);
    setText(this.#title, (plan.filters ? texts.title : texts.titleSome)(plan.action));
    this.#body.replaceChildren(this.#about(), this.#said);
    setText(this.#said, texts.counting);
    this.#offer(this.#close(texts.back));
    this.element.showModal();
    this.#title.focus();
    try {
      const counted = await plan.count();
      if (turn === this.#turn) this.#preview(counted);
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      if (turn !== this.#turn) return;
      setText(this.#said, `${words.couldNotLoad}. ${format.reason(error)}`);
      this.#offer(button(null, words.tryAgain, () => this.#again()), this.#close(texts.close));
    }
  }

  #again() {
    this.element.close();
    this.open(this.#plan);
  }

  #closed() {
    this.#turn += 1;
    this.#stop = null;
    refocus(this.element, '.jobs a');
    this.#context.changed();
  }

  /** Closing must not hide a running action: it is stopped first. */
  #escaped(event) {
    if (!this.#stop) return;
    event.preventDefault();
    this.#stop();
  }

  #preview({ number, exact }) {
    const { action } = this.#plan;
    if (number === 0 && exact) {
      setText(this.#said, texts.none(action));
      return this.#offer(this.#close(texts.close));
    }
    const many = exact ? texts.jobs(number) : texts.atLeast(number);
    setText(this.#said, texts.about[action](many));
    const label = exact ? texts.confirm(action, texts.jobs(number)) : texts.confirmMany(action);
    const confirm = button('primary', label, () => this.#run({ changed: 0, refused: {} }, exact ? number : null));
    this.#offer(confirm, this.#close(texts.back));
    confirm.focus();
  }

  async #run(sums, number) {
    const { action } = this.#plan;
    const turn = (this.#turn += 1);
    let stopped = false;
    this.#stop = () => (stopped = true);
    const offeredAt = performance.now();
    // The second click of a double click hits this button, which replaced the confirm button.
    const stop = button(null, texts.stop, (event) => event.timeStamp - offeredAt > DOUBLE_CLICK && this.#stop?.());
    this.#offer(stop);
    stop.focus();
    this.#body.replaceChildren(this.#bar, this.#said);
    this.#progress(sums, number);
    for (let done = false; !done && !stopped; ) {
      let step;
      try {
        step = await this.#plan.step();
      } catch (error) {
        if (error.name !== 'ApiError') throw error;
        this.#stop = null;
        return turn === this.#turn && this.#interrupted(error, sums, number);
      }
      sums.changed += step.changed;
      for (const [reason, count] of Object.entries(step.refused)) {
        sums.refused[reason] = (sums.refused[reason] ?? 0) + count;
      }
      if (turn !== this.#turn) return;
      this.#progress(sums, number);
      ({ done } = step);
    }
    this.#stop = null;
    this.#end(stopped ? texts.stopped(action, sums.changed) : texts.done(action, sums.changed), sums);
  }

  #progress({ changed, refused }, number) {
    const share = number ? Math.min(1, (changed + total(refused)) / number) : null;
    setAttribute(this.#bar, 'data-unknown', share === null && '');
    setAttribute(this.#bar, 'aria-valuenow', share !== null && Math.round(share * 100));
    this.#bar.firstElementChild.style.inlineSize = share === null ? '' : `${share * 100}%`;
    setText(this.#said, texts.running(this.#plan.action, changed));
  }

  #interrupted(error, sums, number) {
    setText(this.#said, `${texts.failed(this.#plan.action, sums.changed)} ${format.reason(error)}`);
    const on = button('primary', texts.goOn, () => this.#run(sums, number));
    this.#offer(on, this.#close(texts.close));
    on.focus();
  }

  #end(text, { refused }) {
    setText(this.#said, text);
    const reasons = Object.entries(refused).map(([reason, count]) => h('li', {}, bdi(texts.reason(count, reason))));
    this.#body.replaceChildren(this.#said);
    if (reasons.length > 0) this.#body.append(h('p', {}, texts.refused(total(refused))), h('ul', {}, ...reasons));
    const close = this.#close(texts.close);
    this.#offer(close);
    close.focus();
  }

  /** Describe the jobs in words. */
  #about() {
    const { filters } = this.#plan;
    if (!filters) return h('p', {}, texts.selectedOnly);
    const lines = FILTERS.filter((name) => filters[name] !== undefined).map((name) => {
      const value = ['from', 'to'].includes(name) ? format.moment(filters[name]) : String(filters[name]);
      return h('li', {}, `${words.filters[name]}: `, bdi(value));
    });
    if (filters.status) {
      const names = filters.status.map((status) => strings.status[status]).join(', ');
      lines.unshift(h('li', {}, `${words.filters.status}: ${names}`));
    }
    return h('div', {}, h('p', {}, texts.filters), h('ul', {}, ...lines));
  }

  #close(text) {
    return button(null, text, () => this.element.close());
  }

  #offer(...buttons) {
    this.#buttons.replaceChildren(...buttons);
  }
}

const total = (refused) => Object.values(refused).reduce((sum, count) => sum + count, 0);
