/**
 * What the demo page can start: a button for each entry. It starts a job of this kind with the `request`, or without
 * one with the prefix of uploaded files; `accepts` limits it to files with certain names. Without entries there is no
 * card.
 */

import { words } from './strings.js';

/**
 * @type {{ kind: string, text: (files: number) => string, accepts?: (name: string) => boolean,
 *   request?: Record<string, unknown> }[]}
 */
export const ACTIONS = [
  { kind: 'zip-builder', text: words.start },
  { kind: 'csv-import', text: words.import, accepts: (name) => /\.csv$/i.test(name) },
  { kind: 'story-writer', text: () => words.story, request: {} },
];
