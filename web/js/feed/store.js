/**
 * The jobs that a page knows, and the rules by which pushes and snapshots may change them. Pure: no DOM, no network, no
 * timers.
 *
 * @typedef {import('../types.d.ts').Job} Job
 */

const ENDED = new Set(['succeeded', 'failed', 'cancelled', 'aborted']);
const TOMBSTONES = 1000;
const CLOCK_READS = 3;
/** More than a slow response can be wrong about the time: the clock was changed, or the machine slept. */
const CLOCK_JUMP = 10_000;
const NOTHING = Object.freeze({ changed: false, ended: false, outside: false });

/** @param {Job} job */
export const hasEnded = (job) => ENDED.has(job.status);

/** Sorts newest first, as the server does: by creation, then by id. @param {Job} a @param {Job} b */
export function newestFirst(a, b) {
  const later = Date.parse(b.createdAt) - Date.parse(a.createdAt);
  if (later) return later;
  const [left, right] = [String(a.id), String(b.id)];
  // Numeric ids: the longer one is greater.
  return right.length - left.length || (left < right ? 1 : left > right ? -1 : 0);
}

export class JobStore {
  /** Whether a snapshot has been merged. */
  loaded = false;
  /** Whether the server has more jobs than the ones listed here. */
  more = false;

  #jobs = new Map();
  #gone = new Map();
  #hidden = new Set();
  #seen = new Map();
  #beyond = { unseen: 0, running: 0 };
  #oldest = null;
  #offsets = [];

  /** The jobs to show, newest first. @returns {Job[]} */
  list() {
    return this.#visible().sort(newestFirst);
  }

  /** @param {string|number} id @returns {Job|undefined} */
  get(id) {
    return this.#jobs.get(String(id));
  }

  /** Whether a job is listed, or was until it was removed. @param {string|number} id */
  knows(id) {
    return this.#jobs.has(String(id)) || this.#gone.has(String(id));
  }

  /** How many jobs have ended unseen and how many have not ended, beyond the listed ones too. */
  get counts() {
    const counts = { ...this.#beyond };
    for (const job of this.#visible()) {
      if (this.isUnseen(job)) counts.unseen += 1;
      else if (!hasEnded(job)) counts.running += 1;
    }
    return counts;
  }

  /** The share of the running jobs' work that is done; null if none of them says it. */
  get progress() {
    const known = this.#visible().filter(({ status, progress }) => status === 'running' && typeof progress === 'number');
    return known.length ? known.reduce((sum, job) => sum + job.progress, 0) / known.length : null;
  }

  /** Whether an unseen end is a failure. */
  get hasFailed() {
    return this.#visible().some((job) => this.isUnseen(job) && (job.status === 'failed' || job.status === 'aborted'));
  }

  /** @param {Job} job */
  isUnseen(job) {
    return hasEnded(job) && !job.seenAt && !(this.#seen.get(String(job.id)) >= job.version);
  }

  /** Remember the current versions; must be called when a read begins. @returns {import('../types.d.ts').Mark} */
  mark() {
    return {
      versions: new Map([...this.#jobs].map(([id, job]) => [id, job.version])),
      gone: new Map(this.#gone),
    };
  }

  /**
   * Merge one pushed job. Only a newer version has an effect.
   * @param {Job} job
   * @returns {import('../types.d.ts').Effect}
   */
  apply(job) {
    if (!Number.isInteger(job?.version) || !job.status || !Array.isArray(job.actions)) return NOTHING;
    const id = String(job.id);
    if (job.version <= (this.#gone.get(id) ?? -1)) return NOTHING;
    if (job.clearedAt) return { ...NOTHING, changed: this.remove(id, job.version) };
    const known = this.#jobs.get(id);
    if (!known && this.more && this.#oldest && newestFirst(job, this.#oldest) > 0) {
      return { ...NOTHING, outside: true };
    }
    return this.#put(job);
  }

  /**
   * Merge the response of a read. Jobs that a push has created or changed since `mark` are kept.
   * @param {import('../types.d.ts').Snapshot} snapshot
   * @param {import('../types.d.ts').Mark} mark
   * @param {boolean} [everything] true: missing jobs are removed, whatever their age (another user's list)
   * @returns {import('../types.d.ts').Change} the changes
   */
  merge(snapshot, mark, everything = false) {
    const { items, more } = snapshot;
    const last = items.at(-1);
    const edge = this.#oldest;
    const effects = new Map(items.map((job) => [job, this.#putFromRead(job, mark)]));
    const present = new Set(items.map((job) => String(job.id)));
    const counted = [...items];
    for (const [id, job] of this.#jobs) {
      if (present.has(id)) continue;
      const older = more && last && newestFirst(job, last) > 0;
      if (older && !everything) counted.push(job);
      else if (mark.versions.get(id) === job.version) this.remove(id, job.version);
    }
    // The server counts all jobs: the difference is beyond the list.
    const beyond = (total, test) => (more ? Math.max(0, total - counted.filter(test).length) : 0);
    this.#beyond = {
      unseen: beyond(snapshot.unseen, (job) => hasEnded(job) && !job.seenAt),
      running: beyond(snapshot.running, (job) => !hasEnded(job)),
    };
    this.more = more;
    this.#oldest = more ? last : null;
    this.loaded = true;
    return {
      updated: items.filter((job) => effects.get(job).changed),
      // Jobs that move up into the list may have ended long ago.
      ended: items.filter((job) => effects.get(job).ended && !(edge && newestFirst(job, edge) > 0)),
    };
  }

  /** Forget the user. */
  forget() {
    for (const known of [this.#jobs, this.#gone, this.#hidden, this.#seen]) known.clear();
    this.#beyond = { unseen: 0, running: 0 };
    this.#oldest = null;
    this.loaded = this.more = false;
  }

  /** A job was removed at this version. @param {string|number} id @param {number} version @returns {boolean} changed */
  remove(id, version) {
    const key = String(id);
    const known = this.#jobs.get(key);
    if (known && known.version > version) return false;
    this.#gone.delete(key);
    this.#gone.set(key, Math.max(version, this.#gone.get(key) ?? -1));
    if (this.#gone.size > TOMBSTONES) this.#gone.delete(this.#gone.keys().next().value);
    this.#hidden.delete(key);
    this.#seen.delete(key);
    return this.#jobs.delete(key);
  }

  /** Hide jobs while a request to clear them runs. @param {Array<string|number>} ids */
  hide(ids) {
    for (const id of ids) this.#hidden.add(String(id));
  }

  /** Show hidden jobs again: the request failed. @param {Array<string|number>} ids */
  unhide(ids) {
    for (const id of ids) this.#hidden.delete(String(id));
  }

  /** The server has cleared a job, at an unknown version. @param {string|number} id */
  cleared(id) {
    const known = this.get(id);
    // Clearing is a change too, so the version is at least one more than the known one.
    if (known) this.remove(id, known.version + 1);
  }

  /** Count these as seen until the server says otherwise. @param {Job[]} jobs */
  markSeen(jobs) {
    for (const job of jobs) this.#seen.set(String(job.id), job.version);
  }

  /** The request to mark these as seen failed. @param {Job[]} jobs */
  unmarkSeen(jobs) {
    for (const job of jobs) this.#seen.delete(String(job.id));
  }

  /**
   * Learn the server's clock from a response.
   * @param {string} serverTime
   * @param {number} now this machine's clock, in the middle of the request
   */
  noteClock(serverTime, now) {
    const offset = Date.parse(serverTime) - now;
    if (!Number.isFinite(offset)) return;
    const before = this.#offsets.filter((known) => Math.abs(known - offset) < CLOCK_JUMP);
    this.#offsets = [...before, offset].slice(-CLOCK_READS);
  }

  /** This machine's time in the server's clock, in milliseconds. @param {number} now */
  serverNow(now) {
    const sorted = this.#offsets.toSorted((a, b) => a - b);
    return now + (sorted[Math.floor(sorted.length / 2)] ?? 0);
  }

  #putFromRead(job, mark) {
    const id = String(job.id);
    const gone = this.#gone.get(id) ?? -1;
    // A job in a read that began after its removal exists again, even at the same version.
    const floor = mark.gone.get(id) === gone ? gone - 1 : gone;
    return job.version > floor ? this.#put(job) : NOTHING;
  }

  #put(job) {
    const id = String(job.id);
    const known = this.#jobs.get(id);
    if (known && known.version >= job.version) return NOTHING;
    this.#jobs.set(id, job);
    this.#gone.delete(id);
    const ended = hasEnded(job) && (known ? !hasEnded(known) || known.finishedAt !== job.finishedAt : !job.seenAt);
    return { changed: true, ended, outside: false };
  }

  #visible() {
    return [...this.#jobs].filter(([id]) => !this.#hidden.has(id)).map(([, job]) => job);
  }
}
