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
};
