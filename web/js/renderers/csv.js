/** The result of a CSV import: the number of imported rows, and the rejected lines with the reason. */

import { register } from './registry.js';
import { words as all } from './strings.js';

const words = all.csv;

register('csv-import', {
  summary: ({ result }) => words.rows(result.imported),
  result({ result }, { h, bdi, details, format }) {
    const { imported, rows, files, columns, delimiters = [], rejected, rejectedLines } = result;
    const left = rejected - rejectedLines.length;
    return h(
      'div',
      { class: 'csv' },
      h('p', {}, h('strong', {}, words.imported(format.number(imported), format.number(rows))), ' · ', words.files(files)),
      h('p', {}, bdi(words.columns(columns.join(', '))), delimiters[0] && ' · ', bdi(delimiters.join(', '))),
      rejected > 0 &&
        details(
          words.rejected(rejected),
          {},
          h(
            'ul',
            {},
            ...rejectedLines.map(({ file, line, reason }) =>
              h('li', {}, bdi(words.line(format.plain(file), line)), ': ', bdi(reason))),
            left > 0 && h('li', {}, words.more(left)),
          ),
        ),
    );
  },
});
