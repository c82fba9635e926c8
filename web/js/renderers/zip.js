/** The result of the sample job: number and size of the files, skipped files, and the download. */

import { register } from './registry.js';
import { words as all } from './strings.js';

const words = all.zip;

register('zip-builder', {
  summary: ({ result }, { format }) => format.bytes(result.zipBytes),
  result(job, { h, bdi, details, link, format }) {
    const { result } = job;
    const { skipped, renamed = [] } = result;
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
