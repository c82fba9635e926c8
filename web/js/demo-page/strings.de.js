/** Die Texte der Karte, die eine Aufgabe startet. */

import { counter } from '../language.js';

const count = counter('de');

export const words = {
  drop: 'Dateien hier ablegen',
  choose: 'Dateien auswählen',
  sample: 'Beispieldateien verwenden',
  sampleName: 'Beispieldateien',
  preparing: 'Beispieldateien werden erstellt',
  chosen: (files, size) => `${count(files, { one: 'Datei', other: 'Dateien' })}, ${size}`,
  files: 'Ausgewählte Dateien',
  remove: (name) => `${name} entfernen`,
  removeAll: 'Alle entfernen',
  name: 'Name (optional)',
  start: (n) => `${count(n, { one: 'Datei', other: 'Dateien' })} zippen`,
  import: (n) => `${count(n, { one: 'CSV-Datei', other: 'CSV-Dateien' })} importieren`,
  story: 'Eine Geschichte schreiben',
  again: 'Erneut versuchen',
  stop: 'Anhalten',
  folder: (name) => `${name} ist ein Ordner. Wählen Sie stattdessen die Dateien darin`,
  uploading: (done, all, size, total) => `Hochladen: ${done} von ${all} Dateien, ${size} von ${total}`,
  starting: 'Die Aufgabe wird gestartet',
  started: 'Ihre Aufgabe ist gestartet. Die Glocke hält Sie auf dem Laufenden; Sie können diese Seite verlassen.',
  stopped: 'Hochladen angehalten. Hochgeladene Dateien bleiben für den nächsten Versuch erhalten.',
  failedUploads: (n) =>
    `${count(n, { one: 'Datei konnte', other: 'Dateien konnten' })} nicht hochgeladen werden. ` +
    'Der nächste Versuch sendet nur die fehlenden.',
  failedReserve: 'Das Hochladen konnte nicht beginnen',
  failedStart: 'Die Aufgabe konnte nicht gestartet werden',
  state: { waiting: 'Wartet', uploading: 'Wird hochgeladen', uploaded: 'Hochgeladen' },
  progress: 'Fortschritt des Hochladens',
  storage: (status) => `Fehlgeschlagen: Der Speicher meldet Fehler ${status}`,
  storageNetwork: 'Fehlgeschlagen: Der Speicher ist nicht erreichbar',
};
