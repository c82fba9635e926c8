/** The result of an import: the number of imported rows, and the rejected lines with the reason. */

import { register } from './registry.js';

register('importer', {
  summary: ({ result }, { format }) => `${format.number(result.imported)} rows`,
  result({ result }, { h, bdi, format }) {
    const { imported, rows, columns, rejected, rejectedLines } = result;
    return h(
      'div',
      { class: 'csv' },
      h('p', {}, h('strong', {}, `Rows imported: ${format.number(imported)} of ${format.number(rows)}`)),
      h('p', {}, bdi(`Columns: ${columns.join(', ')}`)),
      rejected > 0 &&
        h(
          'details',
          {},
          h('summary', {}, h('span', {}, `${rejected} lines were rejected`)),
          h(
            'ul',
            {},
            ...rejectedLines.map(({ file, line, reason }) =>
              h('li', {}, bdi(`${format.plain(file)}, line ${line}`), ': ', bdi(reason))),
          ),
        ),
    );
  },
});
