/**
 * `<job-bell>`: a bell that shows a person their background jobs, live.
 *
 * Attributes: `api` (URL of the API; default: the server of this file), `renderers` (URLs of further
 * renderer modules, separated by spaces), `toasts` (short messages when jobs end that were started in this tab), `tab-count`
 * (the number of unseen ends in the tab's title and icon), `notifications` (a switch for notifications of the system).
 * Property: `getToken`. Events: `job-updated`, `job-bell-auth`. Parts: `button`, `badge`, `panel`, `row`, `toast`.
 */

import { config } from '../config.js';
import { Announcer } from './bell/announcer.js';
import { h, icon, isLow, keepFocus, setAttribute, setText, sheetOf } from './dom.js';
import { FeedElement } from './feed/feed-element.js';
import { badge } from './format.js';
import { JobPanel } from './bell/job-panel.js';
import { titleOf } from './bell/job-row.js';
import { strings } from './strings.js';

const words = strings.bell;
const SHEETS = [sheetOf('tokens.css'), sheetOf('bell.css'), sheetOf('job-row.css')];
measureInOwnUnit();
/** What is shown outside of the bell is loaded if the page asks for it by an attribute. */
const EXTRAS = {
  toasts: () => import('./bell/toasts.js'),
  'tab-count': () => import('./bell/tab-count.js'),
  notifications: () => import('./bell/notices.js'),
};
let extraSheet;
const TICK = 1000;
const GAP = 8;
const BELOW = 12;

export class JobBell extends FeedElement {
  #refused = false;
  #frame = null;
  #ticking = null;
  #following = null;
  #announcer = new Announcer((ended) => this.#tellExtras('announced', ended));
  #panel = null;
  #extras = [];
  #unseen = h('span', { class: 'badge unseen', part: 'badge', 'aria-hidden': 'true', hidden: true });
  #ring = h('span', { class: 'ring', 'aria-hidden': 'true', hidden: true }, icon('ring'));
  #button = h(
    'button',
    { type: 'button', class: 'bell', part: 'button', 'aria-expanded': 'false', 'aria-haspopup': 'dialog' },
    icon('bell'),
    this.#ring,
    this.#unseen,
  );

  constructor() {
    super();
    this.attachShadow({ mode: 'open' }).adoptedStyleSheets = SHEETS;
    keepFocus(this.shadowRoot);
  }

  /** Show a job that this page has just started, before the push arrives. @param {import('./types.d.ts').Job} job */
  track(job) {
    this.feed?.track(job);
  }

  async attach() {
    const extras = Object.keys(EXTRAS).filter((name) => this.hasAttribute(name));
    if (extras.length) this.shadowRoot.adoptedStyleSheets = [...SHEETS, (extraSheet ??= sheetOf('bell-extras.css'))];
    const announce = (text) => this.#announcer.say(text);
    const { feed } = this;
    const parts = { origins: config.blobOrigins, announce, actions: feed.actions, feed, button: this.#button, badge: this.#unseen };
    parts.panel = this.#panel = new JobPanel(feed, parts);
    this.#panel.element.addEventListener('toggle', (event) => this.#toggled(event.newState === 'open'));
    this.#panel.element.addEventListener('beforetoggle', (event) => this.#toggling(event.newState === 'open'));
    this.#button.popoverTargetElement = this.#panel.element;
    this.shadowRoot.replaceChildren(h('div', { class: 'root' }, this.#button, this.#panel.element, this.#announcer.element));
    this.#render();
    const loading = this.#load(extras, parts);
    // Otherwise at once: a bell may replace another one, whose connection would be closed.
    if (this.hasAttribute('renderers')) await loading;
    this.listen();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    // The browser has closed what was open.
    this.#toggled(false);
    this.#tellExtras('hide');
  }

  detach() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#tellExtras('removed');
    this.#extras = [];
  }

  async #load(extras, parts) {
    const renderers = this.getAttribute('renderers')?.split(/\s+/).filter(Boolean) ?? [];
    const loads = renderers.map((name) => import(new URL(name, document.baseURI)));
    const modules = await Promise.allSettled([...extras.map((name) => EXTRAS[name]()), ...loads]);
    for (const { reason } of modules) if (reason) console.warn('A module is missing:', reason);
    // By now it has another feed, or is removed.
    if (parts.panel !== this.#panel || !this.feed) return;
    this.#extras = extras.map((_, index) => modules[index].value?.create(parts)).filter(Boolean);
    this.#render();
  }

  #tellExtras(event, ...content) {
    for (const extra of this.#extras) extra[event]?.(...content);
  }

  changed(change) {
    const { updated, ended } = change;
    const { refused } = this.feed;
    this.#tellExtras('changed', change, this.#isOpen());
    if (this.feed.isNews(change)) this.#announcer.ended(ended.map((job) => ({ ...job, title: titleOf(job) })));
    for (const job of updated) this.#tell('job-updated', { job });
    if (refused && !this.#refused) this.#tell('job-bell-auth', {});
    this.#refused = refused;
    // Concurrent changes are painted once; a hidden page paints nothing, but its counts must be right.
    if (document.hidden) this.#render();
    else this.#frame ??= requestAnimationFrame(() => this.#render());
  }

  #isOpen() {
    return this.#panel.element.matches(':popover-open');
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #render() {
    this.#frame = null;
    const { counts, progress, hasFailed } = this.feed.store;
    const { running, unseen } = counts;
    setAttribute(this.#button, 'aria-label', words.name(running, unseen));
    this.#ring.hidden = running === 0;
    setAttribute(this.#ring, 'data-unknown', progress === null && '');
    this.#ring.style.setProperty('--done', Math.round((progress ?? 0.25) * 100));
    this.#unseen.hidden = unseen === 0;
    setAttribute(this.#unseen, 'data-failed', hasFailed && '');
    setText(this.#unseen, badge(unseen));
    this.#tellExtras('rendered', unseen);
    if (this.#isOpen()) this.#panel.render();
  }

  #toggling(open) {
    if (open) {
      this.#panel.prepare();
      this.#place();
    } else if (this.#panel.element.contains(this.shadowRoot.activeElement)) this.#button.focus();
  }

  #toggled(open) {
    clearInterval(this.#ticking);
    this.#following?.abort();
    this.#button.setAttribute('aria-expanded', String(open));
    if (!open) return;
    this.#tellExtras('hide');
    this.#panel.focus();
    this.#ticking = setInterval(() => document.hidden || this.#panel.tick(), TICK);
    this.#following = new AbortController();
    const { signal } = this.#following;
    addEventListener('resize', () => this.#place(), { signal });
    addEventListener('scroll', () => this.#place(), { signal, capture: true, passive: true });
  }

  /** The panel is in the top layer, where no ancestor can clip it; so its position is computed. */
  #place() {
    const { top, bottom, left, right } = this.#button.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const rtl = getComputedStyle(this).direction === 'rtl';
    const above = isLow(this.#button);
    const { style, dataset } = this.#panel.element;
    dataset.side = above ? 'above' : 'below';
    style.setProperty('--offset', `${Math.max(GAP, (above ? clientHeight - top : bottom) + BELOW)}px`);
    style.setProperty('--end', `${Math.max(GAP, rtl ? left : clientWidth - right)}px`);
  }
}

/** The page defines the rem. The bell's own unit is computed once, from `.root`. */
function measureInOwnUnit() {
  try {
    CSS.registerProperty({ name: '--qj-unit', syntax: '<length>', inherits: true, initialValue: '16px' });
  } catch (error) {
    // Another copy of this file was loaded first.
    if (error.name !== 'InvalidModificationError') throw error;
  }
}

// Unless it is already defined, by another copy or URL of this file.
customElements.get('job-bell') ?? customElements.define('job-bell', JobBell);
