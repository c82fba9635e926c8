/** The card that starts a job: choose files, upload them, start one of `ACTIONS` with them; below, the other actions. */

import { ApiError } from '../api.js';
import { bdi, button, h, icon, patchChildren, setAttribute, setBusy, setText } from '../dom.js';
import { bytes, failure } from '../format.js';
import { ACTIONS } from './actions.js';
import { startButtons } from './start-buttons.js';
import { words } from './strings.js';

const UPLOAD = 'M12 16V5M7.5 9.5L12 5l4.5 4.5M4 20h16';
const SAME = ['name', 'size', 'lastModified'];

const WITH_FILES = ACTIONS.filter(({ request }) => !request);
const OTHERS = ACTIONS.filter(({ request }) => request);

/** The element of the card, or null if there is nothing to start. */
export function startCard(options) {
  const parts = [];
  if (WITH_FILES.length > 0) parts.push(new StartCard(options).element);
  if (OTHERS.length > 0) parts.push(startButtons(OTHERS, options));
  return parts.length > 1 ? h('div', { class: 'start' }, ...parts) : (parts[0] ?? null);
}

class StartCard {
  /** @type {HTMLElement} */
  element;

  #api;
  #onStarted;
  #files = [];
  #rows = new Map();
  #upload = null;
  #kind = null;
  #wish = null;
  #wishes = 0;
  #busy = false;
  #frame = null;
  #input = h('input', { type: 'file', multiple: true, hidden: true, onchange: () => this.#take(this.#input.files) });
  #choose = button(null, words.choose, () => this.#input.click());
  #sample = button('quiet', words.sample, () => this.#takeSample());
  #zone = h('div', { class: 'drop' });
  #list = h('ul', { class: 'files', tabindex: '0', 'aria-label': words.files });
  #summary = h('span', { class: 'chosen' });
  #removeAll = button('quiet', words.removeAll, () => this.#reset());
  #chosen = h('div', { class: 'chosen-head' }, this.#summary, this.#removeAll);
  #name = h('input', { id: 'zip-name', maxlength: '80', autocomplete: 'off' });
  #field = h('p', { class: 'field' }, h('label', { for: 'zip-name' }, words.name), this.#name);
  #starts = WITH_FILES.map(({ kind }, index) => button(index ? 'large' : 'primary large', null, () => this.#go(kind)));
  #stop = button(null, words.stop, () => this.#upload?.stop());
  #action = h('div', { class: 'action' }, ...this.#starts, this.#stop);
  #bar = h('div', { class: 'bar', role: 'progressbar', 'aria-label': words.progress }, h('div', {}));
  #progress = h('p', { class: 'progress' });
  #message = h('p', { class: 'message', role: 'status' });

  /**
   * @param {object} options
   * @param {ReturnType<typeof import('../api.js').createApi>} options.api
   * @param {(job: import('../feed/store.js').Job) => void} options.onStarted
   */
  constructor({ api, onStarted }) {
    this.#api = api;
    this.#onStarted = onStarted;
    const choices = h('p', { class: 'choices' }, this.#choose, this.#sample);
    this.#zone.append(icon('upload', UPLOAD), h('p', { class: 'drop-title' }, words.drop), choices, this.#input);
    const progress = [this.#bar, this.#progress];
    const parts = [this.#zone, this.#chosen, this.#list, this.#field, ...progress, this.#action, this.#message];
    this.element = h('div', { class: 'start' }, ...parts);
    this.#acceptDrops();
    this.#render();
  }

  #acceptDrops() {
    const over = (on) => this.#zone.toggleAttribute('data-over', on);
    this.element.addEventListener('dragover', () => over(!this.#busy));
    this.element.addEventListener('dragleave', () => over(false));
    this.element.addEventListener('drop', async (event) => {
      over(false);
      const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry());
      const folder = items.find((entry) => entry?.isDirectory);
      const files = [...event.dataTransfer.files].filter((_, index) => !items[index]?.isDirectory);
      await this.#take(files);
      if (folder) this.#say(words.folder(folder.name), 'bad');
    });
  }

  async #take(chosen) {
    const files = [...chosen];
    // The same file can be chosen again after it was removed.
    this.#input.value = '';
    const uploads = await this.#load();
    if (!uploads || this.#busy) return;
    const taken = new Set(this.#files.map(({ name }) => name));
    for (const file of files) {
      const again = this.#files.some(({ file: known }) => SAME.every((name) => known[name] === file[name]));
      if (again) continue;
      const name = uploads.freeName(file.name, taken);
      taken.add(name);
      this.#files.push({ name, file });
    }
    this.#upload = null;
    this.#say('');
    this.#render();
  }

  /** What uploads files is loaded when there are some. */
  async #load() {
    try {
      return await import('./uploads.js');
    } catch {
      this.#say(failure(words.failedReserve, new ApiError({})), 'bad');
      return null;
    }
  }

  async #takeSample() {
    await this.#whileBusy(async () => {
      this.#say(words.preparing);
      const { sampleFiles } = await import('./sample-files.js');
      const files = await sampleFiles();
      this.#busy = false;
      await this.#take(files);
      this.#name.value ||= words.sampleName;
    });
    this.#starts.find((node) => !node.hidden)?.focus();
  }

  #remove(file) {
    const index = this.#files.indexOf(file);
    this.#files.splice(index, 1);
    this.#upload = null;
    this.#render();
    const next = this.#files[index] ?? this.#files.at(-1);
    (next ? this.#rows.get(next).remove : this.#choose).focus();
  }

  #reset() {
    this.#files = [];
    this.#upload = null;
    this.#name.value = '';
    this.#render();
    this.#choose.focus();
  }

  async #go(kind) {
    if (this.#busy) return;
    this.#kind = kind;
    this.#say('');
    await this.#whileBusy(async () => {
      const { Upload } = await import('./uploads.js');
      this.#upload ??= new Upload({
        files: this.#files,
        reserve: (files) => this.#api.call('POST', '/uploads', { body: { files } }),
        onProgress: () => this.#renderSoon(),
      });
      await this.#uploadAndStart(this.#upload);
    });
    // The pressed button is gone. If the user has moved the focus in the meantime, it stays.
    const { activeElement, body } = document;
    const here = activeElement === body || this.element.contains(activeElement);
    if (here && this.#files.length === 0) this.#choose.focus();
  }

  async #uploadAndStart(upload) {
    let what = words.failedReserve;
    try {
      const place = await upload.run();
      if (!place) {
        const failed = upload.count('failed');
        this.#say(failed ? words.failedUploads(failed) : words.stopped, failed ? 'bad' : '');
        this.#render();
        this.#list.querySelector('[data-state="failed"]')?.scrollIntoView({ block: 'nearest' });
        return;
      }
      what = words.failedStart;
      const name = this.#name.value.trim();
      const job = await this.#startJob({ ...place, ...(name && { name }) });
      this.#reset();
      this.#say(words.started, 'good');
      this.#onStarted(job);
    } catch (error) {
      if (error.name !== 'ApiError') throw error;
      this.#say(failure(what, error), 'bad');
    }
  }

  /** A retry uses the same key, and does not start a second job; another name or kind gets another key. */
  #startJob(body) {
    const wish = this.#kind + JSON.stringify(body);
    if (wish !== this.#wish) this.#wishes += 1;
    this.#wish = wish;
    const headers = { 'idempotency-key': `${body.prefix}${this.#wishes}` };
    return this.#api.call('POST', `/jobs/${this.#kind}`, { body, headers });
  }

  async #whileBusy(work) {
    this.#busy = true;
    this.#render();
    try {
      await work();
    } finally {
      this.#busy = false;
      this.#render();
    }
  }

  #say(text, tone = '') {
    setText(this.#message, text);
    this.#message.dataset.tone = tone;
  }

  #renderSoon() {
    this.#frame ??= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = null;
    const count = this.#files.length;
    const size = this.#files.reduce((sum, { file }) => sum + file.size, 0);
    for (const node of [this.#chosen, this.#list, this.#field, this.#action]) node.hidden = count === 0;
    setText(this.#summary, words.chosen(count, bytes(size)));
    for (const node of [this.#choose, this.#sample, this.#removeAll, this.#name]) node.disabled = this.#busy;
    this.#renderFiles();
    this.#renderProgress();
    const again = this.#upload && !this.#busy;
    WITH_FILES.forEach(({ kind, text, accepts }, index) => {
      const node = this.#starts[index];
      setText(node, again && this.#kind === kind ? words.again : text(count));
      setBusy(node, this.#busy);
      node.hidden = !this.#files.every(({ name }) => !accepts || accepts(name));
    });
  }

  #renderFiles() {
    for (const file of this.#rows.keys()) if (!this.#files.includes(file)) this.#rows.delete(file);
    const items = new Map(this.#upload?.items.map((item) => [item.file, item]));
    const elements = this.#files.map((file) => {
      if (!this.#rows.has(file)) this.#rows.set(file, this.#makeRow(file));
      const { element, state, remove } = this.#rows.get(file);
      const item = items.get(file.file);
      setText(state, item ? stateText(item) : '');
      element.dataset.state = item?.state ?? '';
      remove.hidden = this.#busy;
      return element;
    });
    patchChildren(this.#list, elements);
  }

  #makeRow(file) {
    const label = words.remove(file.name);
    const remove = button('quiet', icon('close'), () => this.#remove(file), { 'aria-label': label });
    const name = h('span', { class: 'name' }, bdi(file.name));
    const state = h('span', { class: 'state' });
    const size = h('span', { class: 'size' }, bytes(file.file.size));
    return { element: h('li', {}, name, state, size, remove), state, remove };
  }

  #renderProgress() {
    const upload = this.#busy ? this.#upload : null;
    for (const node of [this.#bar, this.#progress, this.#stop]) node.hidden = !upload;
    if (!upload) return;
    const { sent, size } = upload;
    const done = upload.count('uploaded');
    const all = upload.items.length;
    const part = size > 0 ? sent / size : done / all;
    this.#bar.firstElementChild.style.inlineSize = `${part * 100}%`;
    setAttribute(this.#bar, 'aria-valuenow', Math.floor(part * 100));
    this.#stop.hidden = done === all;
    setText(this.#progress, done === all ? words.starting : words.uploading(done, all, bytes(sent), bytes(size)));
  }
}

function stateText({ state, error }) {
  if (state !== 'failed') return words.state[state];
  return error.status ? words.storage(error.status) : words.storageNetwork;
}
