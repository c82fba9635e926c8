/** Die Texte der Ansichten der einzelnen Arten. */

import { counter } from '../language.js';

const count = counter('de');

export const words = {
  zip: {
    files: (n) => count(n, { one: 'Datei', other: 'Dateien' }),
    sizes: (before, after) => `${before} gepackt auf ${after}`,
    skipped: (n) => `${count(n, { one: 'Datei wurde', other: 'Dateien wurden' })} übersprungen`,
    renamed: (n) => `${count(n, { one: 'Datei wurde', other: 'Dateien wurden' })} umbenannt`,
    download: 'Herunterladen',
  },
  csv: {
    rows: (n) => count(n, { one: 'Zeile', other: 'Zeilen' }),
    imported: (rows, all) => `Importierte Zeilen: ${rows === all ? all : `${rows} von ${all}`}`,
    files: (n) => count(n, { one: 'Datei', other: 'Dateien' }),
    columns: (names) => `Spalten: ${names}`,
    rejected: (n) => `${count(n, { one: 'Zeile wurde', other: 'Zeilen wurden' })} abgelehnt`,
    line: (file, line) => `${file}, Zeile ${line}`,
    more: (n) => `und ${n} weitere`,
  },
  story: { words: (n) => count(n, { one: 'Wort', other: 'Wörter' }) },
};
