/** Saves fetched files: a link would have to contain the token. */

const KEEP = 60_000;

/** @param {File} file */
export function save(file) {
  const url = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = url;
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP);
}

/** The number of rows of a CSV text without its heading; ignores line breaks in quotes. @param {string} text */
export const csvRows = (text) => Math.max(0, text.replace(/"[^"]*"/g, '').split('\n').length - 2);
