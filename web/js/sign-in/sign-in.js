/** The sign-in method of this site. */

import { config } from '../../config.js';
import { exchangeInvite } from '../api.js';
import { InviteSession } from './session.js';

/**
 * @param {string} base absolute URL of the API
 * @returns {Promise<import('../types.d.ts').Session>} not started yet
 */
export async function openSession(base) {
  if (config.signIn !== 'oidc') return new InviteSession({ exchange: (invite) => exchangeInvite(base, invite) });
  const { OidcSession } = await import('./oidc.js');
  return new OidcSession(config.oidc);
}

/** Show what an unfinished sign-in needs; its texts are loaded for those who must sign in. @param {HTMLElement} place */
export async function showNotice(session, place) {
  const { signInNotice } = await import('./sign-in-notice.js');
  if (session.state !== 'signed-in') place.replaceChildren(signInNotice(session));
}
