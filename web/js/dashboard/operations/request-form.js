/** The controls for a kind's request, and the request that they hold. Other values are entered as JSON. */

import { h, setText } from '../../dom.js';
import { NotValid, fieldsOf, textOf, valueOf } from './request-fields.js';
import { words } from './strings.js';

const texts = words.start;
const CONTROLS = { date: 'date', moment: 'datetime-local', number: 'text' };

let forms = 0;

export class RequestForm {
  #parts;
  #isWhole;
  #count = 0;
  #prefix = `request-${(forms += 1)}`;

  /** @param {object|null} schema the JSON Schema of the request; null: all of it is entered as JSON */
  constructor(schema) {
    const fields = fieldsOf(schema);
    const whole = { type: 'json', label: 'JSON', hint: '', initial: {}, required: true, limits: {} };
    this.#parts = (fields ?? [whole]).map((field) => this.#part(field));
    this.isEmpty = this.#parts.every(({ element }) => !element);
    this.element = h('div', { class: 'fields' }, ...elementsOf(this.#parts));
    this.#isWhole = !fields;
  }

  /** Show what is wrong with a text beside it, and return undefined; otherwise the request. */
  read() {
    try {
      return this.#isWhole ? this.#parts[0].read() : group(this.#parts);
    } catch (error) {
      if (!(error instanceof NotValid)) throw error;
      return undefined;
    }
  }

  #part(field) {
    if (field.type === 'constant') return { field, read: () => valueOf(field, '') };
    if (field.type === 'group') return this.#group(field);
    const control = this.#control(field);
    const hints = [field.hint, field.type === 'lines' && texts.lines, field.type === 'json' && texts.json];
    const hint = h('p', { id: `${control.id}-hint`, class: 'muted' }, hints.filter(Boolean).join(' '));
    const wrong = h('p', { id: `${control.id}-wrong`, class: 'note', hidden: true });
    control.setAttribute('aria-describedby', `${hint.id} ${wrong.id}`);
    const label = h('label', { for: control.id }, field.label, !field.required && h('span', { class: 'muted' }, ` (${texts.optional})`));
    const read = () => {
      wrong.hidden = true;
      try {
        return valueOf(field, control.value);
      } catch (error) {
        if (error instanceof NotValid) {
          setText(wrong, texts[error.code]);
          wrong.hidden = false;
          control.focus();
        }
        throw error;
      }
    };
    return { field, read, element: h('div', { class: 'request-field' }, label, control, hint.textContent !== '' && hint, wrong) };
  }

  #group(field) {
    const parts = field.fields.map((one) => this.#part(one));
    const element = h('fieldset', {}, h('legend', {}, field.label), ...elementsOf(parts));
    return { field, read: () => group(parts), element };
  }

  #control(field) {
    const id = `${this.#prefix}-${(this.#count += 1)}`;
    const attributes = { id, name: field.name, ...field.limits };
    if (field.type === 'choice') {
      const names = new Map([[true, texts.yes], [false, texts.no]]);
      const options = field.choices.map((choice, index) => h('option', { value: index }, names.get(choice) ?? String(choice)));
      const select = h('select', attributes, h('option', { value: '' }, texts.none), ...options);
      select.value = textOf(field);
      return select;
    }
    const isOneLine = field.type in CONTROLS;
    const rows = { json: 4, lines: 3, text: 1 }[field.type];
    const kind = isOneLine ? { type: CONTROLS[field.type], autocomplete: 'off' } : { rows, spellcheck: 'false' };
    const control = h(isOneLine ? 'input' : 'textarea', { ...attributes, ...kind });
    control.value = textOf(field);
    return control;
  }
}

const elementsOf = (parts) => parts.map(({ element }) => element).filter(Boolean);

function group(parts) {
  const pairs = parts.map(({ field, read }) => [field.name, read()]);
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
