/** What runs and what will: the schedules, the workers, and a form that starts a job. */

import { h } from '../../dom.js';
import { Loading } from '../widgets.js';
import { Schedules } from './schedules.js';
import { StartJob } from './start-job.js';
import { Workers } from './workers.js';
import { words } from './strings.js';

export class OperationsView {
  #loading;
  #sections;

  /** @param {import('../../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#loading = new Loading(() => context.changed());
    this.#loading.begin();
    const starts = context.options.canAct ? [new StartJob(context)] : [];
    this.#sections = [new Schedules(context), new Workers(context), ...starts];
    const elements = this.#sections.map(({ element }) => element);
    this.element = h('section', { class: 'operations', 'aria-label': words.label }, this.#loading.element, ...elements);
  }

  show() {}

  refresh() {
    return this.#loading.around(async () => {
      await Promise.all(this.#sections.map((section) => section.refresh()));
      this.#loading.end();
    });
  }

  tick() {
    for (const section of this.#sections) section.tick();
  }
}
