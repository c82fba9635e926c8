/**
 * What the demo page can start with uploaded files: a button for each entry, which starts a job of this kind with the
 * prefix of the upload. `accepts` limits a button to files with certain names. Without entries there is no card.
 */

import { words } from './strings.js';

/** @type {{ kind: string, text: (files: number) => string, accepts?: (name: string) => boolean }[]} */
export const ACTIONS = [
  { kind: 'zip-builder', text: words.start },
  { kind: 'csv-import', text: words.import, accepts: (name) => /\.csv$/i.test(name) },
];
