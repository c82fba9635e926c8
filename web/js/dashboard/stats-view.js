/** How many jobs ended and how, how long they waited and ran. */

import { h } from '../dom.js';
import { Figures } from './figures.js';
import { WINDOWS } from './url-state.js';
import { Loading } from './widgets.js';
import { words } from './strings.js';

export class StatsView {
  #context;
  #state = null;
  #loading;
  #figures = null;

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.#loading = new Loading(() => context.changed());
    this.element = h('section', { 'aria-label': words.views.statistics }, this.#loading.element);
  }

  show(state) {
    if (this.#state?.window !== state.window) this.#loading.begin();
    this.#state = state;
  }

  refresh() {
    const { window } = this.#state;
    return this.#loading.around(async () => {
      const stats = await this.#context.api.stats(WINDOWS[window]);
      if (window !== this.#state.window) return;
      this.#loading.end();
      if (!this.#figures) this.element.append((this.#figures = new Figures()).element);
      this.#figures.show(stats);
    });
  }
}
