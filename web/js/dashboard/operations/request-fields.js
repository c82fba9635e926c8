/** The fields of a request, from the JSON Schema of its model, and the values that their texts stand for. */

const MAX_DEPTH = 3;
/** Types that have an empty value. */
const EMPTY = { text: '', lines: [] };
const NUMBERS = ['integer', 'number'];

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} hint
 * @property {boolean} required without it the request is not valid
 * @property {boolean} nullable
 * @property {unknown} initial undefined if there is no default
 * @property {'constant'|'choice'|'text'|'number'|'date'|'moment'|'lines'|'group'|'json'} type
 * @property {unknown[]} [choices]
 * @property {Field[]} [fields] of a group
 * @property {object} limits attributes of the control
 */

/** A text that is not a value of its field: `code` names a text of the view. */
export class NotValid extends Error {
  name = 'NotValid';

  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** The fields of a model, or null if it has no properties. @param {object|null} root @returns {Field[]|null} */
export function fieldsOf(root) {
  return root && groupFields(root, root, 0);
}

/** The value of a text; undefined if the field is omitted. @param {Field} field @param {string} text @throws {NotValid} */
export function valueOf(field, text) {
  if (field.type === 'constant') return field.initial;
  if (text === '') return emptyOf(field);
  switch (field.type) {
    case 'choice': return field.choices[Number(text)];
    case 'number': return numberOf(text);
    case 'moment': return momentOf(text);
    case 'lines': return text.split('\n').map((line) => line.trim()).filter(Boolean).map(field.numeric ? numberOf : String);
    case 'json': return jsonOf(text);
    default: return text;
  }
}

/** The text of a default. @param {Field} field */
export function textOf({ type, initial, choices }) {
  if (initial == null) return '';
  if (type === 'choice') return String(choices.indexOf(initial));
  if (type === 'lines') return initial.join('\n');
  if (type === 'json') return JSON.stringify(initial, null, 2);
  return type === 'moment' ? localTime(new Date(initial)) : String(initial);
}

function groupFields(schema, root, depth, initials) {
  if (schema.type !== 'object' || !schema.properties || depth > MAX_DEPTH) return null;
  return Object.entries(schema.properties).map(([name, found]) => {
    const { shape, nullable } = resolved(found, root);
    const { title = name, description = '' } = found;
    const initial = initials?.[name] ?? found.default;
    const required = (schema.required ?? []).includes(name);
    return { name, label: title, hint: description, required, nullable, initial, limits: {}, ...typed(shape, root, depth, nullable, initial) };
  });
}

function typed(shape, root, depth, nullable, initial) {
  if ('const' in shape) return { type: 'constant', initial: shape.const };
  if (Array.isArray(shape.enum)) return { type: 'choice', choices: shape.enum };
  if (shape.type === 'boolean') return { type: 'choice', choices: [true, false] };
  if (NUMBERS.includes(shape.type)) return { type: 'number', limits: { inputmode: shape.type === 'integer' ? 'numeric' : 'decimal' } };
  if (shape.type === 'string') {
    const type = { date: 'date', 'date-time': 'moment' }[shape.format] ?? 'text';
    return { type, limits: { maxlength: shape.maxLength } };
  }
  if (shape.type === 'array' && shape.items) {
    const { shape: item, nullable: hasGaps } = resolved(shape.items, root);
    const simple = !hasGaps && !item.enum && !('const' in item);
    if (simple && (item.type === 'string' || NUMBERS.includes(item.type))) return { type: 'lines', numeric: item.type !== 'string' };
  }
  // Empty controls would not tell a group without values from none.
  const fields = nullable ? null : groupFields(shape, root, depth + 1, initial);
  return fields ? { type: 'group', fields } : { type: 'json' };
}

/** Follow references, and look through "or null". */
function resolved(found, root) {
  let shape = found;
  let nullable = false;
  for (let step = 0; step < 20; step += 1) {
    const [only] = shape.allOf?.length === 1 ? shape.allOf : [];
    const others = (shape.anyOf ?? []).filter(({ type }) => type !== 'null');
    nullable ||= others.length < (shape.anyOf ?? []).length;
    if (shape.$ref) shape = referenced(shape.$ref, root);
    else if (only) shape = only;
    else if (others.length === 1) [shape] = others;
    else break;
  }
  return { shape, nullable };
}

const referenced = (path, root) =>
  path.slice(2).split('/').reduce((found, name) => found?.[name.replaceAll('~1', '/').replaceAll('~0', '~')], root) ?? {};

/** The value of a field that is empty. One whose default was removed is not omitted, or the default would apply. */
function emptyOf({ type, required, nullable, initial }) {
  const isRemoved = initial != null && initial.length !== 0;
  if (!required && !isRemoved) return undefined;
  return nullable ? null : EMPTY[type];
}

function numberOf(text) {
  const number = Number(text.trim());
  if (text.trim() === '' || !Number.isFinite(number)) throw new NotValid('notNumber');
  // Its last digits would be lost.
  if (!/[.e]/i.test(text) && !Number.isSafeInteger(number)) throw new NotValid('tooLarge');
  return number;
}

function momentOf(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) throw new NotValid('notTime');
  return moment.toISOString();
}

function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new NotValid('notJson');
  }
}

/** As a control for local times takes it. @param {Date} moment */
function localTime(moment) {
  const local = new Date(moment - moment.getTimezoneOffset() * 60_000);
  return Number.isNaN(local.getTime()) ? '' : local.toISOString().slice(0, 16);
}
