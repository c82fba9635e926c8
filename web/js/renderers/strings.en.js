/** The texts of the views of the kinds. For another language, add a file of the same shape. */

import { counter } from '../language.js';

const count = counter('en');

export const words = {
  zip: {
    files: (n) => count(n, { one: 'file', other: 'files' }),
    sizes: (before, after) => `${before} zipped to ${after}`,
    skipped: (n) => `${count(n, { one: 'file was', other: 'files were' })} skipped`,
    renamed: (n) => `${count(n, { one: 'file was', other: 'files were' })} renamed`,
    download: 'Download zip',
  },
  csv: {
    rows: (n) => count(n, { one: 'row', other: 'rows' }),
    imported: (rows, all) => `Rows imported: ${rows === all ? all : `${rows} of ${all}`}`,
    files: (n) => count(n, { one: 'file', other: 'files' }),
    columns: (names) => `Columns: ${names}`,
    rejected: (n) => `${count(n, { one: 'line was', other: 'lines were' })} rejected`,
    line: (file, line) => `${file}, line ${line}`,
    more: (n) => `and ${n} more`,
  },
  story: { words: (n) => count(n, { one: 'word', other: 'words' }) },
};
