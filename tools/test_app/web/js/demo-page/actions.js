/** What the page of the test app can start. */

const count = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

export const ACTIONS = [
  { kind: 'packer', text: (files) => `Zip ${count(files, 'file')}` },
  { kind: 'importer', text: (files) => `Import ${count(files, 'CSV file')}`, accepts: (name) => /\.csv$/i.test(name) },
];
