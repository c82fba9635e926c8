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
import { strings } from './strings.en.js';

const words = strings.bell;
const SHEETS = [sheetOf('tokens.css'), sheetOf('bell.css'), sheetOf('job-row.css')];
measureInOwnUnit();
const TICK = 1000;
const GAP = 8;
const BELOW = 12;

export class JobBell extends FeedElement {
  #refused = false;
  #whose;
  #frame = null;
  #ticking = null;
  #following = null;
  #announcer = new Announcer((ended) => this.#notices?.ended(ended));
  #panel = null;
  #toasts = null;
  #tabCount = null;
  #notices = null;
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
    const announce = (text) => this.#announcer.say(text);
    const context = { origins: config.blobOrigins, announce, actions: this.feed.actions };
    this.#panel = new JobPanel(this.feed, context);
    this.#panel.element.addEventListener('toggle', (event) => this.#toggled(event.newState === 'open'));
    this.#panel.element.addEventListener('beforetoggle', (event) => this.#toggling(event.newState === 'open'));
    this.#button.popoverTargetElement = this.#panel.element;
    const inner = [this.#button, this.#panel.element, this.#announcer.element];
    this.shadowRoot.replaceChildren(h('div', { class: 'root' }, ...inner));
    this.#render();
    await Promise.all([this.#loadRenderers(), this.#loadExtras(context)]);
    this.listen();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    // The browser has closed what was open.
    this.#toggled(false);
  }

  detach() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    this.#tabCount?.set(this, null);
    this.#notices?.stop();
    this.#toasts?.clear();
  }

  async #loadRenderers() {
    const names = this.getAttribute('renderers')?.split(/\s+/).filter(Boolean) ?? [];
    await allOf(names.map((name) => import(new URL(name, document.baseURI))));
  }

  /** What is shown outside of the bell is loaded if the page asks for it. */
  async #loadExtras(context) {
    const panel = this.#panel;
    const [toasts, tab, notices] = await allOf([
      this.hasAttribute('toasts') && import('./bell/toasts.js'),
      this.hasAttribute('tab-count') && import('./bell/tab-count.js'),
      this.hasAttribute('notifications') && import('./bell/notices.js'),
    ]);
    // It was given another feed meanwhile.
    if (panel !== this.#panel) return;
    const open = (job) => panel.reveal(job);
    this.#toasts = toasts && new toasts.Toasts(context, this.#button, open);
    if (toasts) this.#button.after(this.#toasts.element);
    this.#tabCount = tab && tab.tabCount;
    this.#notices = notices && notices.Notices.isSupported ? new notices.Notices(open, (text) => panel.complain(text)) : null;
    if (this.#notices) panel.element.append(this.#notices.element);
  }

  changed(change) {
    const { updated, ended, early = [] } = change;
    const { refused, whose } = this.feed;
    if (whose !== this.#whose) this.#toasts?.clear();
    this.#whose = whose;
    const mine = [...ended, ...early];
    const titled = (jobs) => jobs.map((job) => ({ ...job, title: titleOf(job), job }));
    if (this.feed.isNews(change)) this.#announcer.ended(titled(ended));
    this.#toasts?.changed(this.feed.store, titled(this.feed.takeStarted(mine)), this.#isOpen());
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
    this.#tabCount?.set(this, this.feed, unseen, this.#unseen);
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
    this.#toasts?.clear();
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

/** What could be loaded; a missing file must not take the bell with it. */
async function allOf(loads) {
  const settled = await Promise.allSettled(loads);
  for (const { reason } of settled) if (reason) console.warn('A module is missing:', reason);
  return settled.map(({ value }) => value);
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
