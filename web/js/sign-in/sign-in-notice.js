/** The notice for users who are not signed in. */

import { button, h, icon } from '../dom.js';
import { reason } from '../format.js';
import { words } from './strings.js';

const KEY = 'M7.5 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11.5 12H21v3.5M17 12v2.5';
const TOO_MANY = 429;

/** @param {import('../types.d.ts').Session} session in any state but `signed-in` */
export function signInNotice(session) {
  const { state } = session;
  const texts = {
    checking: [words.checking],
    needed: [words.needed, words.neededWhy, words.neededLocal, words.neededCloud],
    ended: [words.ended, words.endedWhy],
    other: [words.other, words.otherWhy(session.user?.display)],
    wrong: [words.wrong, words.wrongWhy],
    failed: [words.failed, session.error?.status === TOO_MANY ? words.tooMany : reason(session.error)],
  };
  const ways = { needed: [words.oidcNeeded], ended: [words.ended, words.oidcEnded] };
  const enter = session.signIn && ways[state];
  const [title, ...lines] = enter || texts[state];
  const again = button('primary', words.tryAgain, () => session.start());
  return h(
    'div',
    { class: 'notice', role: 'status', 'data-state': state },
    icon('key', KEY),
    h('h2', {}, title),
    ...lines.map((line) => h('p', {}, line)),
    state === 'failed' && again,
    state === 'other' && button('primary', words.stay, () => session.stay()),
    state === 'other' && button(null, words.useLink, () => session.useLink()),
    enter && button('primary', words.signIn, () => session.signIn()),
  );
}
