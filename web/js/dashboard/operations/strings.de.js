/** Alle Texte der Ansicht Betrieb. */

export const words = {
  label: 'Betrieb',

  schedules: {
    label: 'Zeitpläne',
    about: 'Diese Arten starten von selbst. Zeiten der Zeitpläne sind in UTC.',
    columns: { kind: 'Art', schedule: 'Zeitplan', last: 'Letzter Lauf', next: 'Nächster Lauf', actions: 'Aktionen' },
    empty: 'Keine Art hat einen Zeitplan.',
    never: 'nie',
    in: (duration) => `in ${duration}`,
    due: 'jetzt',
    run: 'Jetzt starten',
    started: (kind) => `${kind} wurde gestartet`,
    showJob: 'Aufgabe zeigen',
    failed: 'Starten nicht möglich',
  },

  workers: {
    label: 'Worker-Prozesse',
    about: 'Was Worker gerade ausführen. Ein Worker ohne Aufgabe steht nicht in der Liste.',
    columns: { worker: 'Worker', kind: 'Art', job: 'Aufgabe', since: 'Seit', heartbeat: 'Letztes Lebenszeichen' },
    empty: 'Kein Worker führt eine Aufgabe aus.',
    attempt: (n) => `Versuch ${n}`,
    overdue: 'Worker verloren',
    more: 'Es gibt mehr: die Liste hat die ersten 500.',
  },

  start: {
    label: 'Aufgabe starten',
    about: 'Die Aufgabe gehört Ihnen: sie erscheint in Ihrer Glocke. Die Anfrage wird beim Starten geprüft.',
    kind: 'Art',
    choose: 'Art wählen',
    start: 'Starten',
    started: (kind) => `${kind} wurde gestartet`,
    showJob: 'Aufgabe zeigen',
    failed: 'Starten nicht möglich',
    noForm: 'Das Formular konnte nicht geladen werden',
    none: 'ohne',
    yes: 'ja',
    no: 'nein',
    lines: 'Ein Wert je Zeile.',
    json: 'Als JSON.',
    optional: 'optional',
    notNumber: 'Das ist keine Zahl',
    notTime: 'Das ist kein Datum mit Uhrzeit',
    notJson: 'Das ist kein gültiges JSON',
    tooLarge: 'Die Zahl hat zu viele Stellen für dieses Formular',
    noFields: 'Diese Art braucht keine Angaben.',
  },
};
