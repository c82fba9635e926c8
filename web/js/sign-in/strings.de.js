/** Texte der Anmeldung. */

export const words = {
  checking: 'Sie werden angemeldet',
  needed: 'Sie benötigen einen Einladungslink',
  neededWhy:
    'Diese Seite öffnet sich mit einem persönlichen Link, der auf #invite=... endet. ' +
    'Fragen Sie den Betreiber dieses Dienstes danach, und öffnen Sie ihn hier.',
  neededLocal: 'Auf dem eigenen Rechner gibt ./scripts/dev den Link beim Start aus.',
  neededCloud: 'Wenn Sie den Dienst selbst betreiben, gibt pulumi stack output openUrl --show-secrets ihn aus.',
  ended: 'Melden Sie sich wieder an',
  endedWhy: 'Ihre Sitzung ist beendet. Öffnen Sie Ihren Einladungslink erneut. Ihre Aufgaben bleiben so lange sichtbar.',
  other: 'Benutzer in diesem Tab wechseln?',
  otherWhy: (user) => `Sie sind angemeldet als ${user}. Der geöffnete Link meldet einen anderen Benutzer an.`,
  stay: 'Angemeldet bleiben',
  useLink: 'Link verwenden',
  wrong: 'Dieser Einladungslink funktioniert nicht',
  wrongWhy: 'Er ist vielleicht unvollständig oder wurde ersetzt. Bitten Sie um einen neuen.',
  failed: 'Die Anmeldung ist fehlgeschlagen',
  tooMany: 'Zu viele Versuche. Warten Sie eine Minute, und versuchen Sie es dann erneut.',
  tryAgain: 'Erneut versuchen',
  signIn: 'Anmelden',
  oidcNeeded: 'Melden Sie sich an, um Ihre Aufgaben zu sehen',
  oidcEnded: 'Ihre Sitzung ist beendet. Ihre Aufgaben bleiben sichtbar, bis Sie sich anmelden.',
};
