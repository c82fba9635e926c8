/** The texts of the card that starts a job. */

import { counter } from '../language.js';

const count = counter('en');

export const words = {
  drop: 'Drop files here',
  choose: 'Choose files',
  sample: 'Use sample files',
  sampleName: 'sample files',
  preparing: 'Creating sample files',
  chosen: (files, size) => `${count(files, { one: 'file', other: 'files' })}, ${size}`,
  files: 'Chosen files',
  remove: (name) => `Remove ${name}`,
  removeAll: 'Remove all',
  name: 'Name (optional)',
  start: (n) => `Zip ${count(n, { one: 'file', other: 'files' })}`,
  import: (n) => `Import ${count(n, { one: 'CSV file', other: 'CSV files' })}`,
  story: 'Write a story',
  again: 'Try again',
  stop: 'Stop',
  folder: (name) => `${name} is a folder. Choose the files in it instead`,
  uploading: (done, all, size, total) => `Uploading: ${done} of ${all} files, ${size} of ${total}`,
  starting: 'Starting the job',
  started: 'Your job has started. The bell keeps you informed; you can leave this page.',
  stopped: 'Upload stopped. The uploaded files are kept for the next try.',
  failedUploads: (n) =>
    `${count(n, { one: 'file', other: 'files' })} could not be uploaded. The next try sends only the missing files.`,
  failedReserve: 'The upload could not be started',
  failedStart: 'The job could not be started',
  state: { waiting: 'Waiting', uploading: 'Uploading', uploaded: 'Uploaded' },
  progress: 'Upload progress',
  storage: (status) => `Failed: the storage returned error ${status}`,
  storageNetwork: 'Failed: the storage cannot be reached',
};
