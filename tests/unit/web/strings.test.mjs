// Texts in each language: the same names, nothing forgotten, and none outside of these files.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';

import { counter } from '../../../web/js/language.js';

const JS = new URL('../../../web/js/', import.meta.url);
const files = readdirSync(JS, { recursive: true }).filter((name) => name.endsWith('.js'));
const folders = files.filter((name) => name.endsWith('strings.en.js')).map((name) => name.slice(0, -'strings.en.js'.length));
const languages = new Set(files.map((name) => /strings\.(\w\w)\.js$/.exec(name)?.[1]).filter(Boolean));

const textsOf = async (folder, language) => {
  const { strings, words } = await import(new URL(`${folder}strings.${language}.js`, JS));
  return strings ?? words;
};

/** All texts with the names that lead to them. */
function* leaves(texts, path = '') {
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value === 'object') yield* leaves(value, `${path}${name}.`);
    else yield [`${path}${name}`, value];
  }
}

/** Alike in all languages. */
const SAME = /^(locale|none|units\.|bytes\.|hiddenCharacter|bell\.many|job\.retriesIn|title$)/;
const LOANS = new Set(['Live', 'Status', 'Details', 'Worker', 'Trace', 'Traceback', 'Filter', 'p50', 'p95', 'p99', 'optional', 'Name (optional)']);

describe('the texts', () => {
  it('are in more than one language, chosen from those that there are', () => {
    const chosen = /LANGUAGES = \[([^\]]*)\]/.exec(readFileSync(new URL('language.js', JS), 'utf8'))[1];
    assert.deepEqual(chosen.match(/\w\w/g).toSorted(), [...languages].toSorted());
    assert.ok(languages.size > 1 && folders.length === 7);
  });

  for (const folder of folders) {
    for (const language of [...languages].filter((each) => each !== 'en')) {
      it(`in ${folder || 'js/'} have the same names, kinds and parameters in ${language}`, async () => {
        const [english, other] = [await textsOf(folder, 'en'), await textsOf(folder, language)];
        const shape = (texts) => [...leaves(texts)].map(([name, value]) => [name, typeof value, value.length > 0 && value.call && value.length]);
        assert.deepEqual(shape(other), shape(english));
      });

      it(`in ${folder || 'js/'} are translated into ${language}`, async () => {
        const english = new Map(leaves(await textsOf(folder, 'en')));
        const left = [...leaves(await textsOf(folder, language))].filter(([name, text]) =>
          typeof text === 'string' && text === english.get(name) && /[a-z]/i.test(text) && !SAME.test(name) && !LOANS.has(text));
        assert.deepEqual(left, []);
      });

      it(`in ${folder || 'js/'} use all that they are given in ${language}`, async () => {
        const english = new Map(leaves(await textsOf(folder, 'en')));
        for (const [name, text] of leaves(await textsOf(folder, language))) {
          if (typeof text !== 'function') continue;
          for (const n of [1, 2, 1234]) {
            const values = Array.from({ length: text.length }, (_, index) => (index === 0 ? n : `<${index}>`));
            const given = (made) => Array.from(made.matchAll(/<\d>/g), String).toSorted();
            const [made, meant] = [text, english.get(name)].map((each) => tryWith(each, values));
            assert.deepEqual(given(made), given(meant), name);
          }
        }
      });
    }
  }

  it('are nowhere else in the elements', () => {
    const quoted = /'([^'\n]*)'|"([^"\n]*)"|`([^`]*)`/g;
    const found = files
      .filter((name) => !/strings\.(\w\w\.)?js$/.test(name) && name !== SAMPLE_FILES)
      .flatMap((name) => {
        const code = readFileSync(new URL(name, JS), 'utf8').replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '');
        return code.split('\n').filter((line) => !/console\.warn|Error\(|^import/.test(line)).flatMap((line) =>
          Array.from(line.matchAll(quoted), (match) => match[1] ?? match[2] ?? match[3])
            // A word with a capital letter, or several words.
            .filter((text) => /^[A-Z][a-z]+( |$)|^[a-z]+ [a-z]+ [a-z]+( |$)/.test(text))
            .map((text) => `${name}: ${text}`));
      });
    assert.deepEqual(found.filter((each) => !KEYS.test(each)), []);
  });
});

/** Keys of a keyboard, and what is in the sample files. */
const KEYS = /: (Escape|Enter|ArrowUp|ArrowDown|Bearer .*)$/;
const SAMPLE_FILES = 'demo-page/sample-files.js';

function tryWith(text, values) {
  try {
    return String(text(...values));
  } catch {
    // It expects an action, a list or an object instead.
    const action = [['retry', values[0], '<1>'], [['<1>']], [{ succeeded: 1, retried: 2, failed: 3 }, '<1>'], ['<1>', { p50: 1, p95: 2, p99: 3 }]];
    for (const each of action) {
      try {
        return String(text(...each));
      } catch {
        continue;
      }
    }
    throw new TypeError(`cannot call ${text}`);
  }
}

describe('a number with its noun', () => {
  it('follows the rules of the language', () => {
    const forms = { one: 'a', few: 'b', many: 'c', other: 'd' };
    const made = (locale) => [1, 2, 5, 1234].map((n) => counter(locale)(n, forms).split(/\s/).at(-1));
    assert.deepEqual([made('en'), made('pl')], [['a', 'd', 'd', 'd'], ['a', 'b', 'c', 'b']]);
    assert.equal(counter('de')(1234, { one: 'Zeile', other: 'Zeilen' }), '1.234 Zeilen');
    assert.equal(counter('ar')(3, { other: 'x' }).split(/\s/).at(-1), 'x', 'a form that is missing');
  });
});
