/** Die Texte der Ansichten der Ausgabe einer Aufgabe. */

import { counter } from '../language.js';

const count = counter('de');

export const words = {
  title: 'Ausgabe',
  of: (title) => `Ausgabe von ${title}`,
  none: 'Diese Aufgabe hat nichts ausgegeben.',
  omitted: 'Ältere Ausgaben sind nicht mehr vorhanden.',
  skipped: (n) => `${count(n, { one: 'Zeile wurde', other: 'Zeilen wurden' })} verworfen`,
  failed: 'Die Ausgabe konnte nicht geladen werden',
};
