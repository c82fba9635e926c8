/** Uploads files to the storage: valid names, in parallel, with progress; a retry sends only missing files. */

import { ApiError } from '../api.js';

const AT_ONCE = 4;
const REFUSED = 403;

/**
 * A valid name that is not used yet: files from two folders may have the same name.
 * @param {string} name
 * @param {Set<string>} taken
 */
export function freeName(name, taken) {
  const clean = name.normalize('NFC').replace(/\p{Z}/gu, ' ').replace(/[\p{C}\\/]/gu, '_').trim() || '_';
  const dot = clean.lastIndexOf('.') > 0 ? clean.lastIndexOf('.') : clean.length;
  const [stem, extension] = [start(clean.slice(0, dot), 200), start(clean.slice(dot), 50)];
  let free = stem + extension;
  for (let n = 2; taken.has(free); n += 1) free = `${stem} (${n})${extension}`;
  return free;
}

/** Without halves of surrogate pairs. */
const start = (text, count) => [...text].slice(0, count).join('');

export class Upload {
  #reserve;
  #put;
  #onProgress;
  #place = null;
  #abort = null;

  /**
   * @param {object} options
   * @param {import('../types.d.ts').UploadFile[]} options.files
   * @param {(files: {name: string, size: number}[]) => Promise<import('../types.d.ts').UploadPlace>} options.reserve
   * @param {() => void} options.onProgress called whenever an item changes
   * @param {typeof putFile} [options.put]
   */
  constructor({ files, reserve, onProgress, put = putFile }) {
    /** @type {import('../types.d.ts').UploadItem[]} */
    this.items = files.map(({ name, file }) => ({ name, file, state: 'waiting', sent: 0, error: null }));
    this.#reserve = reserve;
    this.#onProgress = onProgress;
    this.#put = put;
  }

  get size() {
    return this.items.reduce((sum, item) => sum + item.file.size, 0);
  }

  get sent() {
    return this.items.reduce((sum, item) => sum + item.sent, 0);
  }

  count(state) {
    return this.items.filter((item) => item.state === state).length;
  }

  /**
   * Upload the missing files. May be called again if some files have failed or after `stop`.
   * @returns {Promise<{container: string, prefix: string}|null>} null if a file failed or it was stopped
   * @throws {ApiError} if no upload links could be reserved
   */
  async run() {
    const abort = (this.#abort = new AbortController());
    // Expired links do not work for the other files either.
    if (this.items.some((item) => item.error?.status === REFUSED)) this.#place = null;
    if (!this.#place) {
      this.#place = await this.#reserve(this.items.map(({ name, file }) => ({ name, size: file.size })));
      for (const item of this.items) this.#set(item, 'waiting');
    }
    const todo = this.items.map((item, index) => [item, this.#place.files[index]]);
    const queue = todo.filter(([item]) => item.state !== 'uploaded');
    const work = async () => {
      for (let next = queue.shift(); next && !abort.signal.aborted; next = queue.shift()) {
        await this.#one(...next, abort.signal);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const complete = this.count('uploaded') === this.items.length;
    return complete ? { container: this.#place.container, prefix: this.#place.prefix } : null;
  }

  /** Cancel; uploaded files are kept. */
  stop() {
    this.#abort?.abort();
  }

  async #one(item, target, signal) {
    this.#set(item, 'uploading');
    const onProgress = (sent) => this.#set(item, 'uploading', Math.min(sent, item.file.size));
    try {
      await this.#put(target, item.file, { onProgress, signal });
      this.#set(item, 'uploaded', item.file.size);
    } catch (error) {
      if (signal.aborted) this.#set(item, 'waiting');
      else this.#set(item, 'failed', 0, error);
    }
  }

  #set(item, state, sent = 0, error = null) {
    Object.assign(item, { state, sent, error });
    this.#onProgress();
  }
}

/** The storage's code for a file that is there already: the answer to an earlier try was lost. */
const ALREADY_UPLOADED = 'UnauthorizedBlobOverwrite';

/** PUT one file. With XMLHttpRequest, because fetch does not report upload progress. @throws {ApiError} */
export function putFile({ url, headers }, file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = () => reject(new ApiError({ status: request.status }));
    request.open('PUT', url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener('progress', ({ loaded }) => onProgress(loaded));
    const isThere = () => request.status < 300 || request.responseText.includes(ALREADY_UPLOADED);
    request.addEventListener('load', () => (isThere() ? resolve() : fail()));
    for (const event of ['error', 'abort']) request.addEventListener(event, fail);
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
