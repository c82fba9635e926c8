/** The buttons of a job's actions, in its row and in its messages. */

import { allowedUrl, button, h, icon, isBusy, setBusy } from '../dom.js';
import { failure } from '../format.js';
import { strings } from '../strings.js';

const ICONS = { clear: 'close', cancel: 'cancelled', retry: 'retrying', download: 'download' };

/**
 * A button that is busy while its request runs. What goes wrong is told by its owner.
 * @param {'clear'|'cancel'|'retry'|'download'} action
 * @param {{job: import('../types.d.ts').Job, context: import('../types.d.ts').RowContext,
 *   complain: (text: string) => void, done?: () => void}} owner `complain('')` takes back an earlier complaint
 */
export function actionButton(action, text, look, owner) {
  const made = button(`${look} ${action}`, icon(ICONS[action]), async () => {
    if (isBusy(made)) return;
    const { actions, origins } = owner.context;
    setBusy(made, true);
    owner.complain('');
    try {
      const answer = await actions[action](owner.job);
      const url = action === 'download' && allowedUrl(answer, origins);
      if (url === null) owner.complain(strings.failure.refusedLink);
      else {
        if (url) h('a', { href: url, rel: 'noreferrer' }).click();
        owner.done?.();
      }
    } catch (error) {
      owner.complain(failure(strings.failure[action], error));
    } finally {
      setBusy(made, false);
    }
  });
  made.append(text);
  return made;
}
