/** The page: signs in, tells the bell and the start card who that is, and says what is missing when nobody is. */

// First, so that the invite is out of the address before any other module of the page runs.
import { InviteSession, takeInvite } from './session.js';

import { config } from '../config.js';
import { createApi, exchangeInvite } from './api.js';
import { bdi, h, icon } from './dom.js';
import { reason } from './format.js';
import './job-bell.js';
import { StartCard } from './start-card.js';
import { strings } from './strings.en.js';

const words = strings.session;
const TOO_MANY = 429;

const base = new URL(config.api, location.href).href;
const session = new InviteSession({ exchange: (invite) => exchangeInvite(base, invite) });
const getToken = async () => session.token;
const api = createApi({ base, getToken, onRefused: (token) => session.refuse(token) });
const bell = document.querySelector('job-bell');
const place = document.querySelector('#start');
const user = document.querySelector('#user');
const card = new StartCard({ api, onStarted: (job) => bell.track(job) });
let announced;

function sessionChanged() {
  const { state, token } = session;
  place.replaceChildren(state === 'signed-in' ? card.element : notice(state));
  user.replaceChildren(...(session.user ? [bdi(session.user.display)] : []));
  if (state === 'checking' || token === announced) return;
  announced = token;
  // A function of its own for each session tells the bell that it is a new one.
  bell.getToken = () => getToken();
}

function notice(state) {
  const texts = {
    checking: [words.checking],
    needed: [words.needed, words.neededWhy, words.neededLocal, words.neededCloud],
    ended: [words.ended, words.endedWhy],
    wrong: [words.wrong, words.wrongWhy],
    failed: [words.failed, session.error?.status === TOO_MANY ? words.tooMany : reason(session.error)],
  };
  const [title, ...lines] = texts[state];
  const again = h('button', { type: 'button', class: 'primary', onclick: () => session.start() }, words.tryAgain);
  return h(
    'div',
    { class: 'notice', role: 'status', 'data-state': state },
    icon('key'),
    h('h2', {}, title),
    ...lines.map((line) => h('p', {}, line)),
    state === 'failed' && again,
  );
}

session.subscribe(sessionChanged);
bell.addEventListener('job-bell-auth', () => session.refuse(session.token));
addEventListener('hashchange', () => {
  const invite = takeInvite(location, history);
  if (invite) session.start(invite);
});
for (const event of ['dragover', 'drop']) {
  // A file that misses the card must not replace the page.
  addEventListener(event, (dragged) => dragged.preventDefault());
}
session.start();
