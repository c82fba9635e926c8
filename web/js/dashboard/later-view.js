/** The views besides the list of jobs: their modules are loaded when they are first opened. */

import { ApiError } from '../api.js';
import { h } from '../dom.js';
import { Loading } from './widgets.js';

const MODULES = {
  failures: async () => (await import('./failures-view.js')).FailuresView,
  statistics: async () => (await import('./stats-view.js')).StatsView,
  queues: async () => (await import('./queues-view.js')).QueuesView,
  operations: async () => (await import('./operations/operations-view.js')).OperationsView,
};

export class LaterView {
  #context;
  #name;
  #view = null;
  #shown = [];
  #loading;

  /** @param {import('../types.d.ts').DashboardContext} context @param {keyof MODULES} name */
  constructor(context, name) {
    this.#context = context;
    this.#name = name;
    this.#loading = new Loading(() => context.changed());
    this.#loading.begin();
    this.element = h('div', {}, this.#loading.element);
  }

  show(...shown) {
    this.#shown = shown;
    this.#view?.show(...shown);
  }

  async refresh() {
    if (!this.#view) await this.#loading.around(() => this.#begin());
    return this.#view.refresh();
  }

  tick() {
    this.#view?.tick?.();
  }

  async #begin() {
    const View = await MODULES[this.#name]().catch(() => {
      throw new ApiError({});
    });
    this.#view = new View(this.#context);
    this.element.replaceChildren(this.#view.element);
    this.#view.show(...this.#shown);
  }
}
