/** Texts of the sign-in. */

export const words = {
  checking: 'Signing you in',
  needed: 'You need an invite link',
  neededWhy:
    'This page opens with a personal link that ends in #invite=... ' +
    'Ask the person who runs this service for one, and open it here.',
  neededLocal: 'On your own computer, ./scripts/dev prints the link when it starts.',
  neededCloud: 'If you deployed it yourself, pulumi stack output openUrl --show-secrets prints it.',
  ended: 'Sign in again',
  endedWhy: 'Your session has ended. Open your invite link again. Your jobs stay on screen until then.',
  other: 'Change the user in this tab?',
  otherWhy: (user) => `You are signed in as ${user}. The link that you have opened signs in another user.`,
  stay: 'Stay signed in',
  useLink: 'Use the link',
  wrong: 'This invite link does not work',
  wrongWhy: 'It may be incomplete, or it has been replaced. Ask for a new one.',
  failed: 'Sign-in failed',
  tooMany: 'There were too many attempts. Wait a minute, then try again.',
  tryAgain: 'Try again',
  signIn: 'Sign in',
  oidcNeeded: 'Sign in to see your jobs',
  oidcEnded: 'Your session has ended. Your jobs stay on screen until you sign in.',
};
