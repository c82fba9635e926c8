/** The result of a zip: number and size of the files, skipped files, and the download. */

import { register } from './registry.js';

register('packer', {
  summary: ({ result }, { format }) => format.bytes(result.zipBytes),
  result(job, { h, bdi, link, format }) {
    const { files, bytes, zipBytes, skipped, skippedCount } = job.result;
    return h(
      'div',
      { class: 'zip' },
      h('p', {}, `${files} files, ${format.bytes(bytes)} zipped to ${format.bytes(zipBytes)}`),
      skipped.length > 0 &&
        h(
          'details',
          {},
          h('summary', {}, h('span', {}, `${skippedCount} file was skipped`)),
          h('ul', {}, ...skipped.map(({ name, reason }) => h('li', {}, bdi(name), ': ', bdi(reason)))),
        ),
      link(job, 'Download zip'),
    );
  },
});
