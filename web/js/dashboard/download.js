/** Files that the page has fetched and hands to the person: a link would need the token in it. */

const KEEP = 60_000;

/** @param {string} name @param {Blob} blob */
export function save(name, blob) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP);
}

/** How many rows a CSV text has below its headings; line breaks within quotes begin none. @param {string} text */
export const csvRows = (text) => Math.max(0, text.replace(/"[^"]*"/g, '').split('\n').length - 2);
