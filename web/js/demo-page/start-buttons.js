/** The buttons that start a job without files, each with the request of its action. */

import { button, h, isBusy, setBusy, setText } from '../dom.js';
import { failure } from '../format.js';
import { words } from './strings.js';

/**
 * @param {{ kind: string, text: (files: number) => string, request?: Record<string, unknown> }[]} actions
 * @param {object} options
 * @param {ReturnType<typeof import('../api.js').createApi>} options.api
 * @param {(job: import('../feed/store.js').Job) => void} options.onStarted
 */
export function startButtons(actions, { api, onStarted }) {
  const message = h('p', { class: 'message', role: 'status' });
  const say = (text, tone) => {
    setText(message, text);
    message.dataset.tone = tone;
  };
  const starter = ({ kind, text, request }) => {
    let key = null;
    const node = button('large', text(0), async () => {
      if (isBusy(node)) return;
      // The same until there is a response, so that another try does not start a second job.
      key ??= crypto.randomUUID();
      setBusy(node, true);
      try {
        const job = await api.call('POST', `/jobs/${kind}`, { body: request, headers: { 'idempotency-key': key } });
        key = null;
        say(words.started, 'good');
        onStarted(job);
      } catch (error) {
        if (error.name !== 'ApiError') throw error;
        say(failure(words.failedStart, error), 'bad');
      } finally {
        setBusy(node, false);
      }
    });
    return node;
  };
  return h('div', { class: 'start' }, h('div', { class: 'action' }, ...actions.map(starter)), message);
}
