/**
 * What a page knows of a job's output, and the rules by which pushes and reads may add to it: in order, each chunk once.
 * Pure: no DOM, no network, no timers.
 *
 * @typedef {import('../types.d.ts').Chunk} Chunk
 */

/** Of the texts, each of which counts a little more than it has. */
const MOST = 1024 * 1024;
const OVERHEAD = 64;
/** Pushes that wait for a read of what came before them. */
const EARLY = 20;

export class JobOutput {
  /** The number up to which everything is known. */
  last = 0;
  /** The number up to which chunks may be missing: only so much is kept, here and on the server. */
  gap = 0;
  /** Whether the server has told of chunks that are not known. */
  isBehind = false;

  #chunks = [];
  #size = 0;
  #most;
  #early = [];
  #told = 0;

  /** @param {number} [most] bytes that are kept */
  constructor(most = MOST) {
    this.#most = most;
  }

  /**
   * Add a push, or remember that it leaves a gap before it.
   * @param {import('../types.d.ts').Chunks} frame
   * @returns {boolean} whether there are new chunks
   */
  push(frame) {
    if (!Number.isInteger(frame?.after) || !Number.isInteger(frame.last) || !Array.isArray(frame.chunks)) return false;
    if (frame.last <= this.last) return false;
    this.#told = Math.max(this.#told, frame.last);
    const isNew = this.#fits(frame) && this.#add(frame.chunks, frame.last);
    if (!isNew && frame.chunks.length) this.#early = [...this.#early, frame].slice(-EARLY);
    return this.#settle() || isNew;
  }

  /** Call it when a read begins, and pass it to `read` with the response to what follows `last`. */
  mark() {
    return { last: this.last, told: this.#told };
  }

  /**
   * Add the response to a read.
   * @param {import('../types.d.ts').StreamPage} page
   * @param {{told: number}} mark
   * @returns {boolean} whether there are new chunks
   */
  read(page, mark) {
    const missing = (page.chunks[0]?.seq ?? page.after + 1) - 1;
    if (page.omitted && missing > this.last) this.gap = missing;
    const isNew = this.#add(page.chunks, page.after);
    // What was told of before this read, and is not in it, is gone.
    if (!page.more && this.#told === mark.told) this.#told = Math.min(this.#told, this.last);
    return this.#settle() || isNew;
  }

  /**
   * The chunk that follows a number.
   * @param {number} seq
   * @param {string|null} topic null: of all
   * @returns {Chunk|null}
   */
  next(seq, topic) {
    for (let index = this.#indexAfter(seq); index < this.#chunks.length; index += 1) {
      if (topic === null || this.#chunks[index].topic === topic) return this.#chunks[index];
    }
    return null;
  }

  #fits({ after, chunks }) {
    return after <= this.last && chunks.length > 0;
  }

  /** Add those that wait for what has just come. */
  #settle() {
    const before = this.last;
    this.#early.sort((a, b) => a.after - b.after);
    for (const frame of this.#early) if (this.#fits(frame)) this.#add(frame.chunks, frame.last);
    this.#early = this.#early.filter(({ last }) => last > this.last);
    this.isBehind = this.#told > this.last;
    return this.last > before;
  }

  #add(chunks, last) {
    const fresh = chunks.filter(({ seq }) => seq > this.last && seq <= last);
    for (const chunk of fresh) {
      this.#chunks.push(chunk);
      this.#size += sizeOf(chunk);
    }
    while (this.#size > this.#most) {
      const oldest = this.#chunks.shift();
      this.#size -= sizeOf(oldest);
      this.gap = oldest.seq;
    }
    this.last = Math.max(this.last, last);
    return fresh.length > 0;
  }

  #indexAfter(seq) {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#chunks[middle].seq > seq) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Near enough: a character has one to four bytes, and two in memory. */
const sizeOf = ({ text }) => text.length + OVERHEAD;
