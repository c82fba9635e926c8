/** The list of jobs: filters, pages, selection, actions; updated without moving rows under the pointer. */

import { h, setText } from '../dom.js';
import * as format from '../format.js';
import { newestFirst } from '../feed/store.js';
import { BulkDialog } from './bulk-dialog.js';
import { matching, those } from './bulk-plans.js';
import { csvRows, save } from './download.js';
import { FilterBar } from './filter-bar.js';
import { JobTable } from './job-table.js';
import { Loading, Note, act, blank, button, dropDown } from './widgets.js';
import { words } from './strings.js';

const texts = words.list;
const COUNT_EVERY = 5000;

export class JobsView {
  #context;
  #state = null;
  #items = [];
  #next = null;
  #pending = null;
  /** The newest job that was shown. */
  #top = null;
  #turn = 0;
  #ignored = [];
  #countedAt = -Infinity;
  #bar;
  #table;
  #bulk;
  #note = new Note();
  #loading;
  #ignoredNote = h('p', { class: 'hint', role: 'status', hidden: true });
  #count = h('p', { class: 'count', tabindex: '-1' });
  #fresh = button('primary', '', () => this.#showFresh(), { hidden: true });
  #blank = h('div', { hidden: true });
  #selection = h('div', { class: 'selection row-of-buttons', hidden: true, role: 'group', 'aria-label': texts.label });
  #selectionText = h('strong', {});
  #some = {};
  #all = {};
  #filterFirst = h('p', { class: 'muted', hidden: true }, texts.filterFirst);
  #csv = button('quiet', texts.csv, (event) => this.#download(event.currentTarget));
  #newest = button('quiet', texts.newest, () => this.#turnTo(null));
  #newer = button(null, texts.newer, () => this.#goNewer());
  #older = button(null, texts.older, () => this.#goOlder());

  /** @param {import('../types.d.ts').DashboardContext} context */
  constructor(context) {
    this.#context = context;
    this.#bar = new FilterBar(context, (filters, ignored) => this.#filter(filters, ignored));
    this.#table = new JobTable(context, {
      open: (job) => context.navigate({ job: String(job.id) }),
      act: (action, job, pressed) => this.#act(action, job, pressed),
      select: () => this.#selectionChanged(),
    });
    this.#bulk = new BulkDialog(context);
    this.#loading = new Loading(() => context.changed());
    if (context.options.canAct) {
      for (const action of ['retry', 'cancel']) {
        const openAll = () => this.#bulk.open(matching(context.api, action, this.#state.filters));
        this.#all[action] = button(`quiet ${action}`, texts.all(action), openAll);
        const openSome = () => this.#bulk.open(those(context.api, action, this.#table.selectedFor(action)));
        this.#some[action] = button(null, '', openSome);
      }
    }
    const tools = dropDown(texts.actions, this.#csv, ...Object.values(this.#all), this.#filterFirst);
    const unselect = button('quiet', texts.unselect, () => this.#table.selectAll(false));
    this.#selection.append(this.#selectionText, ...Object.values(this.#some), unselect);
    this.element = h(
      'section',
      { 'aria-label': texts.label },
      h('div', { class: 'controls' }, this.#bar.element, h('div', { class: 'toolbar' }, this.#count, tools)),
      this.#ignoredNote,
      this.#note.element,
      this.#loading.element,
      h('div', { class: 'fresh' }, this.#fresh),
      this.#table.element,
      this.#blank,
      h('nav', { class: 'pages', 'aria-label': texts.pages }, this.#newest, this.#newer, this.#older),
      this.#selection,
      this.#bulk.element,
    );
    this.#table.element.hidden = true;
    this.#renderPages();
  }

  /** @param {import('../types.d.ts').DashboardState} state @param {string[]} ignored */
  show(state, ignored) {
    const narrowed = !same(this.#state?.filters, state.filters);
    const moved = narrowed || this.#state.before !== state.before;
    this.#state = state;
    this.#bar.show(state.filters);
    this.#ignored = ignored;
    this.#ignoredNote.hidden = ignored.length === 0;
    setText(this.#ignoredNote, ignored.length > 0 ? format.plain(words.ignored(ignored)) : '');
    // Without a filter, one press would change the jobs of all users.
    const all = Object.values(this.#all);
    const open = Object.keys(state.filters).length === 0;
    for (const element of all) element.disabled = open;
    this.#filterFirst.hidden = !open || all.length === 0;
    if (!moved) return;
    this.#turn += 1;
    this.#pending = null;
    this.#fresh.hidden = true;
    this.#note.hide();
    this.#table.selectAll(false);
    if (narrowed) {
      this.#countedAt = -Infinity;
      this.#top = null;
      setText(this.#count, '');
    }
    this.#table.element.setAttribute('aria-busy', 'true');
    this.#loading.begin();
    this.#renderPages();
  }

  /** Read the current page; called repeatedly. */
  async refresh() {
    const turn = this.#turn;
    const { filters, before } = this.#state;
    await this.#loading.around(async () => {
      const page = await this.#context.api.jobs(filters, before);
      if (turn !== this.#turn) return;
      this.#loading.end();
      this.#take(page);
    });
    // Must not delay the list.
    this.#readCount(filters).catch(() => {});
  }

  tick() {
    this.#table.tick();
  }

  #take(page) {
    const busy = this.#table.element.getAttribute('aria-busy') === 'true';
    const shown = new Set(this.#items.map((job) => job.id));
    const fresh = page.items.filter((job) => !shown.has(job.id));
    if (busy || fresh.length === 0 || this.#atRest()) return this.#put(page);
    // New rows would move others away from under the pointer: they are held back, and the others are updated.
    this.#pending = page;
    const known = new Map(page.items.map((job) => [job.id, job]));
    const last = page.items.at(-1);
    const kept = this.#items.filter((job) => known.has(job.id) || (page.nextBefore && newestFirst(job, last) > 0));
    this.#items = kept.map((job) => known.get(job.id) ?? job);
    this.#offer(fresh, page);
    this.#table.render(this.#items);
  }

  #put(page) {
    this.#pending = null;
    if (!this.#state.before) {
      this.#fresh.hidden = true;
      this.#top = page.items[0];
    }
    this.#items = page.items;
    this.#next = page.nextBefore;
    this.#table.element.removeAttribute('aria-busy');
    this.#table.element.hidden = this.#items.length === 0;
    this.#table.render(this.#items);
    this.#renderBlank();
    this.#renderPages();
  }

  /** Whether the list has neither pointer nor focus and is not scrolled down. */
  #atRest() {
    const { element } = this.#table;
    const inside = element.contains(element.getRootNode().activeElement) || element.matches(':hover');
    return !inside && this.#table.selected.size === 0 && element.getBoundingClientRect().top >= 0;
  }

  /** Offer to show new jobs. If the whole page is new, there may be more. */
  #offer({ length }, page) {
    setText(this.#fresh, texts.fresh(length, page.nextBefore && length === page.items.length));
    this.#fresh.hidden = length === 0;
  }

  #showFresh() {
    if (!this.#pending) return this.#turnTo(null);
    this.#put(this.#pending);
    this.#table.element.querySelector('tbody a')?.focus();
  }

  #renderBlank() {
    const { filters, before } = this.#state;
    const empty = this.#items.length === 0;
    this.#blank.hidden = !empty;
    if (!empty) return;
    const filtered = Object.keys(filters).length > 0 || before;
    const clear = filtered && button(null, texts.showAll, () => this.#filter({}, []));
    if (this.#next) {
      const time = format.moment(new Date(Number(this.#next.split('.')[0]) / 1000).toISOString());
      const further = button('primary', texts.further, () => this.#goOlder());
      this.#blank.replaceChildren(blank(texts.notYet(time), null, further, clear));
    } else if (filtered) this.#blank.replaceChildren(blank(texts.noMatch, null, clear));
    else this.#blank.replaceChildren(blank(texts.empty, texts.emptyHint));
  }

  #renderPages() {
    const { before } = this.#state ?? {};
    this.#newest.hidden = !before;
    this.#newer.hidden = !before || trail().length === 0;
    this.#older.hidden = !this.#next || this.#items.length === 0;
  }

  async #readCount(filters) {
    const wanted = () => same(filters, this.#state.filters);
    if (!wanted() || performance.now() - this.#countedAt < COUNT_EVERY) return;
    this.#countedAt = performance.now();
    const { api } = this.#context;
    api.statuses(filters).then(({ counts }) => wanted() && this.#bar.count(counts), () => {});
    const { number, exact } = await api.count(filters);
    if (wanted()) setText(this.#count, texts.counted(number, exact));
    // Other pages than the first get no new jobs.
    if (!wanted() || !this.#state.before || this.#pending) return;
    const page = await api.jobs(filters, null);
    if (!wanted() || !this.#state.before) return;
    this.#top ??= page.items[0];
    this.#offer(page.items.filter((job) => newestFirst(job, this.#top) < 0), page);
  }

  #filter(filters, ignored) {
    this.#context.navigate({ filters, before: null });
    if (ignored.length > 0) this.show(this.#state, ignored);
  }

  #goOlder() {
    this.#turnTo(this.#next, [...trail(), this.#state.before]);
  }

  #goNewer() {
    this.#turnTo(trail().at(-1), trail().slice(0, -1));
  }

  #turnTo(before, trail) {
    this.#context.navigate({ before }, { trail });
    // The pressed button may be gone, and the new page begins here.
    this.#count.focus();
  }

  #selectionChanged() {
    const { selected } = this.#table;
    const focused = this.#selection.getRootNode().activeElement;
    if (selected.size === 0 && this.#selection.contains(focused)) this.#table.element.querySelector('a')?.focus();
    this.#selection.hidden = selected.size === 0;
    setText(this.#selectionText, texts.selected(selected.size));
    for (const [action, element] of Object.entries(this.#some)) {
      const { length } = this.#table.selectedFor(action);
      element.hidden = length === 0;
      setText(element, texts.some(action, length));
    }
  }

  #act(action, job, pressed) {
    const { api, announce, changed } = this.#context;
    return act(pressed, this.#note, words.job.failed(action), announce, async () => {
      try {
        await api[action](job.id);
        announce(texts.acted[action](String(job.id)));
      } finally {
        // If the action was rejected, the row was outdated.
        await changed();
      }
    });
  }

  #download(pressed) {
    const { api, announce, options } = this.#context;
    setText(this.#csv, texts.csvBusy);
    return act(pressed, this.#note, texts.csvFailed, announce, async () => {
      const file = await api.csv(this.#state.filters);
      const rows = csvRows(await file.text());
      save(file);
      const said = rows < options.mostRows ? texts.csvDone(rows) : texts.csvCut(rows);
      announce(said);
      if (rows >= options.mostRows) this.#note.show(said);
    }).finally(() => setText(this.#csv, texts.csv));
  }
}

const same = (filters, others) => JSON.stringify(filters) === JSON.stringify(others);

/** Where the newer pages that led here begin. */
const trail = () => history.state?.trail ?? [];
