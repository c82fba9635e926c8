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
};
