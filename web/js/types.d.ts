/** The types that the modules share. For editors and type checkers: neither loaded nor served. */

export type Id = string | number;
export type Status = 'pending' | 'running' | 'retrying' | 'succeeded' | 'failed' | 'cancelled' | 'aborted';
export type Action = 'open' | 'cancel' | 'retry' | 'clear';
export type GetToken = () => Promise<string | null> | string | null;

/** One job as the server describes it, in pushes and in lists alike. Times are ISO 8601. */
export interface Job {
  id: Id;
  kind: string;
  /** Made on the server from the request. */
  label: string;
  status: Status;
  /** Rises with every change that a reader can see; never falls. */
  version: number;
  attempt: number;
  maxAttempts: number;
  /** From 0 to 1. */
  progress: number | null;
  progressMessage: string | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  durationMs: number | null;
  /** When a retrying or delayed job may run. */
  availableAt: string | null;
  error: { class: string; message: string } | null;
  result: Record<string, any> | null;
  /** When the result was deleted. */
  expiredAt: string | null;
  cancelRequested: boolean;
  /** It waits because an administrator has paused its kind. */
  paused: boolean;
  /** The actions that the caller may take now. */
  actions: Action[];
  seenAt: string | null;
  clearedAt: string | null;
  /** Only in the response for a single job. */
  request?: Record<string, any>;
}

/** The newest jobs, newest first, and counts over all of them. */
export interface Snapshot {
  items: Job[];
  unseen: number;
  running: number;
  more: boolean;
  nextBefore: string | null;
  serverTime: string;
}

/** The versions by id when a read began. */
export interface Mark {
  versions: Map<string, number>;
  gone: Map<string, number>;
}

/** The effect of a push. `outside`: the job is beyond the list. */
export interface Effect {
  changed: boolean;
  ended: boolean;
  outside: boolean;
}

/** The jobs that are new or newer, and which of them have just ended. */
export interface Change {
  updated: Job[];
  ended: Job[];
  /** Jobs that were reported as ended before their start was recorded in this page. */
  early?: Job[];
  /** To admins: ids of changed jobs of any user. */
  nudge?: { ids?: Id[] };
}

/** A text that a job has emitted. */
export interface Chunk {
  /** Counts from 1 for each job, over all topics and attempts; never used twice. */
  seq: number;
  topic: string;
  text: string;
  /** How many lines before it were dropped because the database took them too slowly. */
  skipped: number;
  emittedAt: string;
}

/** A push: all chunks of a job after one number, up to another; or none of them, if they are to be read. */
export interface Chunks {
  id: Id;
  after: number;
  last: number;
  chunks: Chunk[];
}

/** What a job has emitted after a number. */
export interface StreamPage {
  chunks: Chunk[];
  after: number;
  more: boolean;
  /** Whether older chunks after the one asked for are gone. */
  omitted: boolean;
}

/** A chunk in a loop. */
export interface StreamChunk extends Chunk {
  /** Whether chunks right before it are gone, because only so much is kept. */
  omitted: boolean;
}

export interface LoopOptions {
  /** Ends the loop, as `break` does. */
  signal?: AbortSignal;
}

/** The jobs of the user of a page. Errors and changes of the user: see `openJobs` in feed/jobs.js. */
export interface Jobs {
  /** The newest jobs, newest first: now, and after each change. Changes that come together are one. */
  list(options?: LoopOptions): AsyncIterableIterator<Job[]>;
  /** A job: now, and after each change, up to its end. States that follow each other quickly may be omitted. */
  watch(id: Id, options?: LoopOptions): AsyncIterableIterator<Job>;
  /** What a job emits, from the beginning, in order and each chunk once, up to its end; of one topic or of all. A loop that
   * takes more slowly than they come loses the oldest above 1 MiB, and the next one has `omitted`. */
  stream(id: Id, topic?: string | null, options?: LoopOptions): AsyncIterableIterator<StreamChunk>;
}

export type FeedState = 'connecting' | 'live' | 'reconnecting' | 'off' | 'paused' | 'signed-out';

export interface Hub {
  start(): Promise<void>;
  stop(): Promise<void>;
  onclose(callback: () => void): void;
}

/** How a feed connects to the hub. */
export interface HubOptions {
  /** Absolute URL of the API; `base + '/negotiate'` returns the hub's URL. */
  base: string;
  getToken: GetToken;
  /** The API's negotiate rejected this token. */
  onRefused(token: string | null): void;
  handlers: Record<string, (...values: any[]) => void>;
}

export type OpenHub = (options: HubOptions) => Promise<Hub>;

/** What `undo` needs. */
export interface Cleared {
  ids: Id[];
  /** When all of them were cleared. */
  since: string;
}

export type Content = Node | string | null;

/** The tools that are passed to a renderer. */
export interface Tools {
  h: typeof import('./dom.js').h;
  /** Isolates untrusted text. */
  bdi: typeof import('./dom.js').bdi;
  /** Content behind a summary. */
  details: typeof import('./dom.js').details;
  /** A button that fetches a new download link when clicked; null if there is nothing to download. The bell shows it at
   * the end of the row. */
  link(job: Job, text: string): HTMLElement | null;
  strings: typeof import('./strings.en.js').strings;
  format: typeof import('./format.js');
}

/** The view of a kind of job. Omitted parts use the generic view. */
export interface Renderer {
  /** The topic whose text is shown in the bell's row while the job runs, instead of the last line of its log. */
  stream?: string;
  title?(job: Job, strings: Tools['strings']): string;
  /** A few words for the line below the title, of a job that has succeeded and has a result. */
  summary?: ((job: Job, tools: Tools) => string | null) | null;
  /** In a detail view. */
  request?(job: Job, tools: Tools): Content;
  /** Of a job that has succeeded and has a result. */
  result?(job: Job, tools: Tools): Content;
  error?: ((job: Job, tools: Tools) => Content) | null;
}

export interface RowContext {
  actions: import('./feed/job-actions.js').JobActions;
  /** Origins that downloads may use besides https. */
  origins: string[];
  announce(text: string): void;
  /** Loaded when the panel opens. */
  outputs?: import('./bell/row-outputs.js').RowOutputs;
}

/** The parts of a bell that what a page asks for may use. */
export interface BellParts extends RowContext {
  feed: import('./feed/feed.js').JobFeed;
  panel: import('./bell/job-panel.js').JobPanel;
  button: HTMLElement;
  /** The number of unseen ends on the button. */
  badge: HTMLElement;
}

/** What a bell shows outside of itself. */
export interface BellExtra {
  changed?(change: Change, isOpen: boolean): void;
  rendered?(unseen: number): void;
  announced?(jobs: (Job & { title: string })[]): void;
  /** The panel opens, or the bell is taken from the page. */
  hide?(): void;
  removed?(): void;
}

export interface SessionData {
  token: string;
  expiresAt: string;
  user: { id: string; display: string; roles: string[] };
}

export type SessionState = 'checking' | 'signed-in' | 'needed' | 'ended' | 'other' | 'wrong' | 'failed';

/** The interface of a way to sign in. */
export interface Session {
  readonly state: SessionState;
  readonly token: string | null;
  readonly user: SessionData['user'] | null;
  /** The token to send now, renewed if needed. */
  getToken: GetToken;
  start(): Promise<void>;
  /** Only if users sign in and out on another site: these go there. */
  signIn?(): Promise<void>;
  signOut?(): void;
  /** Only with invite links: in state `other`, keep the session of this tab, or sign in with the link. */
  stay?(): void;
  useLink?(): Promise<void>;
  /** The server rejected this token. */
  refuse(token: string | null): void;
  subscribe(listener: () => void): () => void;
}

export interface UploadFile {
  name: string;
  file: Blob;
}

export interface UploadItem extends UploadFile {
  state: 'waiting' | 'uploading' | 'uploaded' | 'failed';
  /** Bytes. */
  sent: number;
  error: Error | null;
}

export interface UploadTarget {
  name: string;
  url: string;
  headers: Record<string, string>;
}

export interface UploadPlace {
  container: string;
  prefix: string;
  files: UploadTarget[];
}

/** The filters of an admin: a job must match all of them. Times are ISO 8601 in UTC. */
export interface Filters {
  status?: Status[];
  kind?: string;
  user?: string;
  userName?: string;
  queue?: string;
  error?: string;
  text?: string;
  id?: string;
  from?: string;
  to?: string;
  attemptsOver?: number;
}

export interface DashboardState {
  view: 'jobs' | 'failures' | 'statistics' | 'queues' | 'operations';
  window: '1h' | '24h' | '7d' | '30d' | '90d';
  filters: Filters;
  /** Where a page of the list begins; null: at the newest. */
  before: string | null;
  /** The job that is open. */
  job: string | null;
}

/** A job in the admin's list. */
export interface AdminJob extends Omit<Job, 'result' | 'seenAt' | 'clearedAt'> {
  queue: string;
  userId: string;
  userName: string | null;
  waitMs: number | null;
  actions: ('retry' | 'cancel')[];
}

/** The context shared by the parts of the dashboard. */
export interface DashboardContext {
  api: import('./dashboard/admin-api.js').AdminApi;
  options: { canAct: boolean; kinds: string[]; queues: string[]; mostRows: number };
  /** The server's time, in milliseconds. */
  now(): number;
  announce(text: string): void;
  /** Change the state. `trail`: where the newer pages begin. */
  navigate(change: Partial<DashboardState>, how?: { trail?: (string | null)[] }): void;
  /** The URL of another state, for links. */
  address(change: Partial<DashboardState>): string;
  /** Read everything again after an action of the admin. */
  changed(): Promise<unknown>;
}
