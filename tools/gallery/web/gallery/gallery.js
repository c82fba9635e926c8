/**
 * One state of one element, by the address: `?element=bell&state=every-status&lang=de&dir=rtl`. Without a state: all of
 * them. The clock stands still, so that pictures are alike.
 */

import { answerWith, stopClock } from './server.js';
import { STATES, soon } from './states.js';

const query = new URLSearchParams(location.search);
const root = document.documentElement;
root.lang = query.get('lang') ?? 'en';
root.dir = query.get('dir') ?? 'ltr';

const element = query.get('element');
const state = STATES[element]?.[query.get('state')];
if (state) await show();
else list();

async function show() {
  stopClock();
  globalThis.gallery = { isOffline: state.isOffline };
  answerWith(state.answers);
  const isBell = element === 'bell';
  const main = document.createElement('main');
  const top = document.createElement('header');
  top.className = 'top';
  const title = document.createElement('p');
  title.className = 'brand';
  title.textContent = 'Gallery';
  const bell = document.createElement('job-bell');
  for (const name of ['toasts', 'tab-count', 'notifications']) bell.setAttribute(name, '');
  top.append(title, bell);
  document.body.append(top, main);
  const elements = [bell];
  if (isBell) await import('../js/job-bell.js');
  else {
    history.replaceState(null, '', `${location.search}${state.query ? `&${state.query}` : ''}`);
    main.append(document.createElement('job-dashboard'));
    elements.push(main.firstElementChild);
    await import('../js/job-dashboard.js');
  }
  // Not a JWT: one user, to the end.
  const getToken = () => (state.isSignedOut ? null : 'fixed');
  for (const each of elements) each.getToken = getToken;
  // Until then it cannot be pressed, and nothing has its place.
  await soon(() => elements.every((each) => !isBell && each === bell || getComputedStyle(each).visibility === 'visible'));
  await state.reach?.(elements.at(-1), elements.at(-1).shadowRoot);
  await document.fonts.ready;
  root.dataset.ready = '';
}

function list() {
  const all = document.createElement('main');
  all.className = 'states';
  for (const [element, states] of Object.entries(STATES)) {
    for (const state of Object.keys(states)) {
      const figure = document.createElement('figure');
      const link = document.createElement('a');
      const frame = document.createElement('iframe');
      link.href = `?${new URLSearchParams({ element, state, lang: root.lang, dir: root.dir })}`;
      link.textContent = `${element}: ${state}`;
      frame.src = link.href;
      frame.title = link.textContent;
      frame.loading = 'lazy';
      const caption = document.createElement('figcaption');
      caption.append(link);
      figure.append(caption, frame);
      all.append(figure);
    }
  }
  document.body.append(all);
}
