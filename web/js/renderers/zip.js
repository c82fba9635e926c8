/** The result of the sample job: number and size of the files, skipped files, and the download. */

import { register } from './registry.js';

register('zip-builder', {
  result(job, { h, bdi, link, strings, format }) {
    const { result } = job;
    const words = strings.zip;
    const sizes = words.sizes(format.bytes(result.bytes), format.bytes(result.zipBytes));
    return h(
      'div',
      { class: 'zip' },
      h('p', {}, `${words.files(result.files)}, ${sizes}`),
      result.skipped.length > 0 &&
        h(
          'details',
          {},
          h('summary', {}, h('span', {}, words.skipped(result.skippedCount))),
          h('ul', {}, ...result.skipped.map(({ name, reason }) => h('li', {}, bdi(name), ': ', bdi(reason)))),
        ),
      link(job, words.download),
    );
  },
});
