// Reads cases from the standard input, `{schema, request}` each, and prints what a form makes of the request as defaults.

import { NotValid, fieldsOf, textOf, valueOf } from '../../../web/js/dashboard/operations/request-fields.js';

const entered = (fields, request) =>
  Object.fromEntries(fields.map((field) => {
    const initial = field.type === 'constant' ? field.initial : request?.[field.name];
    const value = field.type === 'group' ? entered(field.fields, initial) : valueOf(field, textOf({ ...field, initial }));
    return [field.name, value];
  }).filter(([, value]) => value !== undefined));

const types = (fields) =>
  Object.fromEntries(fields.map(({ name, type, fields: inner }) => [name, inner ? types(inner) : type]));

function attempt(work) {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NotValid)) throw error;
    return error.code;
  }
}

let text = '';
for await (const piece of process.stdin) text += piece;
const answers = JSON.parse(text).map(({ schema, request, texts }) => {
  const fields = fieldsOf(schema);
  if (texts) return texts.map((one) => attempt(() => valueOf(fields[0], one) ?? null));
  return { types: types(fields), request: entered(fields, request) };
});
process.stdout.write(JSON.stringify(answers));
