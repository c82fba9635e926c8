/** The admin page: signs in, passes the session to dashboard and bell, and shows how to sign in. */

// First, so that the invite is removed from the URL before any other module runs.
import { takeInvite } from '../sign-in/session.js';

import { config } from '../../config.js';
import { bdi, button } from '../dom.js';
import '../job-bell.js';
import '../job-dashboard.js';
import { openSession, showNotice } from '../sign-in/sign-in.js';
import { strings } from '../strings.js';

const session = await openSession(new URL(config.api, location.href).href);
const bell = document.querySelector('job-bell');
const dashboard = document.querySelector('job-dashboard');
const place = document.querySelector('#notice');
const user = document.querySelector('#user');
let shown = null;

function sessionChanged() {
  const { state } = session;
  const signedIn = state === 'signed-in';
  if (signedIn || state === 'checking') place.replaceChildren();
  else showNotice(session, place);
  // The jobs stay on screen when a session ends.
  dashboard.hidden = !signedIn && !(state === 'ended' && shown);
  const leave = session.signOut && button(null, strings.signOut, () => session.signOut());
  user.replaceChildren(...(session.user ? [bdi(session.user.display), leave || ''] : []));
  if (state === 'checking') return;
  const id = session.user?.id ?? (state === 'needed' ? null : shown);
  // Remove the jobs after a sign-out or for another user. They stay when a session merely ends.
  if (id !== shown) bell.getToken = dashboard.getToken = null;
  // One function per session, shared by both: they compare whose token it returns.
  if (id !== null) bell.getToken = dashboard.getToken = () => session.getToken();
  shown = id;
}

bell.getToken = dashboard.getToken = null;
session.subscribe(sessionChanged);
for (const event of ['job-bell-auth', 'job-dashboard-auth']) {
  addEventListener(event, () => session.refuse(session.token));
}
addEventListener('hashchange', () => {
  const invite = takeInvite(location, history);
  if (invite) session.start(invite);
});
session.start();
