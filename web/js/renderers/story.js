/** A story: its words flow while they are written, and the whole text is the result. */

import { register } from './registry.js';
import { words } from './strings.js';

register('story-writer', {
  stream: 'story',
  summary: ({ result }) => words.story.words(result.words),
  result: ({ result }, { h, bdi }) => h('p', {}, bdi(result.text)),
});
