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
export function csvRows(text) {
  let rows = 0;
  let quoted = false;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 34) quoted = !quoted;
    else if (code === 10 && !quoted) rows += 1;
  }
  return Math.max(0, rows - 1);
}
