/** The demo page: signs in, passes the session to bell and start card, and shows how to sign in. */

// First, so that the invite is removed from the URL before any other module runs.
import { takeInvite } from '../sign-in/session.js';

import { config } from '../../config.js';
import { createApi } from '../api.js';
import { bdi, button } from '../dom.js';
import '../job-bell.js';
import { openSession, showNotice } from '../sign-in/sign-in.js';
import { strings } from '../strings.js';

// Without delaying the bell, which others wait for.
const later = import('./start-card.js');

const base = new URL(config.api, location.href).href;
const session = await openSession(base);
const api = createApi({ base, getToken: () => session.getToken(), onRefused: (token) => session.refuse(token) });
const bell = document.querySelector('job-bell');
const place = document.querySelector('#start');
const user = document.querySelector('#user');
let card;
let shown = null;

function sessionChanged() {
  const { state } = session;
  if (state === 'signed-in') place.replaceChildren(card ?? '');
  else showNotice(session, place);
  place.hidden = state === 'signed-in' && card === null;
  const leave = session.signOut && button(null, strings.signOut, () => session.signOut());
  user.replaceChildren(...(session.user ? [bdi(session.user.display), leave || ''] : []));
  if (state === 'checking') return;
  const id = session.user?.id ?? (state === 'needed' ? null : shown);
  // Remove the jobs after a sign-out or for another user. They stay when a session merely ends.
  if (id !== shown) bell.getToken = null;
  // One function per session: the bell compares whose token it returns.
  if (id !== null) bell.getToken = () => session.getToken();
  shown = id;
}

bell.getToken = null;
session.subscribe(sessionChanged);
bell.addEventListener('job-bell-auth', () => session.refuse(session.token));
addEventListener('hashchange', () => {
  const invite = takeInvite(location, history);
  if (invite) session.start(invite);
});
for (const event of ['dragover', 'drop']) {
  // A file dropped outside the card must not replace the page.
  addEventListener(event, (dragged) => dragged.preventDefault());
}
session.start();
const { startCard } = await later;
card = startCard({ api, onStarted: (job) => bell.track(job) });
sessionChanged();
