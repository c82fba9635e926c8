/** A story: its words flow while they are written, and the whole text is the result. */

import { register } from './registry.js';

register('story-writer', {
  stream: 'story',
  summary: ({ result }, { strings }) => strings.story.words(result.words),
  result: ({ result }, { h, bdi }) => h('p', {}, bdi(result.text)),
});
