/** No regular expression of the web client reads a text again and again, whatever the text repeats. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../web/js/', import.meta.url);
const LENGTH = 16 * 1024;
/** In milliseconds: a text that is read once takes less. */
const QUICK = 5;

/** The literals of a source: a slash where a value can begin, up to the next one that is neither escaped nor in a class. */
const LITERAL = /(?<=[(=,:&|!?[{;]\s*)\/(?![/*])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+)\/([dgimsuvy]*)/g;

const expressions = readdirSync(ROOT, { recursive: true })
  .filter((name) => name.endsWith('.js'))
  .flatMap((name) => [...readFileSync(new URL(name, ROOT), 'utf8').matchAll(LITERAL)]
    .map(([, source, flags]) => ({ name, expression: new RegExp(source, flags) })));

/** What the expression is made of: its literal runs, and a character for each class. @param {string} source */
function units(source) {
  const atoms = new Set('a1 /."<-+:\n'.split(''));
  for (const [, text] of source.matchAll(/((?:[\w"<>/-]|\\[./\\])+)/g)) atoms.add(text.replaceAll('\\', ''));
  const all = [...atoms];
  return [...all, ...all.flatMap((one) => all.map((other) => one + other))];
}

function milliseconds(expression, text) {
  let best = Infinity;
  for (let run = 0; run < 3; run += 1) {
    const started = process.cpuUsage().user;
    text.replace(expression, '');
    best = Math.min(best, (process.cpuUsage().user - started) / 1000);
  }
  return best;
}

test('finds the expressions', () => {
  assert.ok(expressions.length >= 15, `only ${expressions.length}`);
  assert.ok(expressions.some(({ expression }) => expression.source === '"[^"]*"'));
});

for (const { name, expression } of expressions) {
  test(`${name}: ${expression.source.slice(0, 40)} takes twice as long for twice the text`, () => {
    for (const unit of units(expression.source)) {
      for (const end of ['', '!']) {
        const attack = (length) => unit.repeat(length / unit.length) + end;
        const short = milliseconds(expression, attack(LENGTH));
        if (short < QUICK) continue;
        const long = milliseconds(expression, attack(2 * LENGTH));
        assert.ok(long <= 3 * short, `${JSON.stringify(unit)}: ${short} ms, twice as much ${long} ms`);
      }
    }
  });
}
