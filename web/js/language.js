/** The language of the texts. */

/** Those with texts: for another one, add it here and a file beside each `strings.en.js`. */
const LANGUAGES = ['en', 'de'];

const page = globalThis.document;
const wanted = page?.querySelector('job-bell[lang], job-dashboard[lang]')?.lang || page?.documentElement.lang || '';

/** That of the page's bell or dashboard, else of the page; English if there are no texts in it. */
export const language = LANGUAGES.find((known) => known === wanted.toLowerCase().split('-')[0]) ?? LANGUAGES[0];

/**
 * "1 job", "1,200 jobs", by the plural rules of a language.
 * @param {string} locale
 * @returns {(n: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & {other: string}) => string}
 */
export function counter(locale) {
  const [rules, numbers] = [new Intl.PluralRules(locale), new Intl.NumberFormat(locale)];
  return (n, forms) => `${numbers.format(n)} ${forms[rules.select(n)] ?? forms.other}`;
}
