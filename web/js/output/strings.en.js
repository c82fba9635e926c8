/** The texts of views of a job's output. For another language, add a file of the same shape. */

import { counter } from '../language.js';

const count = counter('en');

export const words = {
  title: 'Output',
  of: (title) => `Output of ${title}`,
  none: 'This job has emitted nothing.',
  omitted: 'Older output is no longer kept.',
  skipped: (n) => `${count(n, { one: 'line was', other: 'lines were' })} dropped`,
  failed: 'Could not load the output',
};
