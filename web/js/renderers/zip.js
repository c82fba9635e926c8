/** The result of the sample job: number and size of the files, skipped files, and the download. */

import { register } from './registry.js';

register('zip-builder', {
  summary: ({ result }, { format }) => format.bytes(result.zipBytes),
  result(job, { h, bdi, details, link, strings, format }) {
    const { result } = job;
    const { skipped, renamed = [] } = result;
    const words = strings.zip;
    const sizes = words.sizes(format.bytes(result.bytes), format.bytes(result.zipBytes));
    const list = (text, files) =>
      files.length > 0 &&
      details(text, {}, h('ul', {}, ...files.map(({ name, reason, stored }) => h('li', {}, bdi(name), ': ', bdi(reason ?? stored)))));
    return h(
      'div',
      { class: 'zip' },
      h('p', {}, `${words.files(result.files)}, ${sizes}`),
      list(words.skipped(result.skippedCount), skipped),
      list(words.renamed(result.renamedCount), renamed),
      link(job, words.download),
    );
  },
});
