/** The form above the list. It displays and changes the filters in the URL. */

import { bdi, h, icon, setText } from '../dom.js';
import { strings } from '../strings.js';
import { FILTERS, STATUSES, filtersOf } from './url-state.js';
import { button, dropDown } from './widgets.js';
import { words } from './strings.js';
import { fromInput, toInput } from './time-format.js';

const texts = words.filters;
const MOMENTS = ['from', 'to'];
const LIMITS = { text: 200, user: 200, userName: 200, error: 200, id: 36 };

export class FilterBar {
  #filters = {};
  #statuses = new Map();
  #counts = {};
  #inputs = {};
  #tokens = h('ul', { class: 'tokens', role: 'list', 'aria-label': texts.active });
  #clear = button('quiet', texts.clear, () => this.#apply({}));
  #apply;

  /**
   * @param {import('../types.d.ts').DashboardContext} context
   * @param {(filters: import('../types.d.ts').Filters, ignored: string[]) => void} onChange
   */
  constructor({ options }, onChange) {
    this.#apply = (filters, ignored = []) => onChange(filters, ignored);
    const choices = { kind: options.kinds, queue: options.queues };
    for (const name of FILTERS) this.#inputs[name] = inputOf(name, choices[name]);
    const field = (name) => h('label', { class: 'field' }, h('span', {}, texts[name]), this.#inputs[name].element);
    const chips = STATUSES.map((status) => this.#chip(status));
    const { element: text } = this.#inputs.text;
    text.setAttribute('aria-label', texts.text);
    text.setAttribute('placeholder', texts.text);
    const more = dropDown(
      texts.more,
      h('div', { class: 'fields' }, ...FILTERS.filter((name) => name !== 'text').map(field)),
      h('p', { class: 'muted' }, texts.local),
      h('button', { type: 'submit', class: 'primary' }, texts.applyMore),
    );
    this.element = h(
      'form',
      { class: 'filters', role: 'search', 'aria-label': texts.label, onsubmit: (event) => this.#submitted(event) },
      h('fieldset', { class: 'chips' }, h('legend', { class: 'sr-only' }, texts.status), ...chips),
      h('div', { class: 'first' }, text, h('button', { type: 'submit' }, texts.apply), more, this.#tokens, this.#clear),
    );
  }

  /** @param {import('../types.d.ts').Filters} filters */
  show(filters) {
    this.#filters = filters;
    for (const [status, box] of this.#statuses) box.checked = filters.status?.includes(status) ?? false;
    for (const [name, input] of Object.entries(this.#inputs)) input.set(filters[name]);
    this.#clear.hidden = Object.keys(filters).length === 0;
    const names = FILTERS.filter((name) => name !== 'text' && filters[name] !== undefined);
    this.#tokens.replaceChildren(...names.map((name) => this.#token(name)));
  }

  /** @param {Record<string, {number: number, exact: boolean}>} counts by status, of the jobs that match the other filters */
  count(counts) {
    for (const [status, { number, exact }] of Object.entries(counts)) setText(this.#counts[status], texts.counted(number, exact));
  }

  #token(name) {
    const { element } = this.#inputs[name];
    const shown = element.localName === 'select' || !MOMENTS.includes(name) ? element.value : element.value.replace('T', ' ');
    const remove = () => {
      this.#apply(Object.fromEntries(Object.entries(this.#filters).filter(([other]) => other !== name)));
      this.#inputs.text.element.focus();
    };
    const token = button('token', bdi(`${texts[name]}: ${shown}`), remove, { 'aria-label': texts.remove(texts[name]) });
    token.append(icon('close'));
    return h('li', {}, token);
  }

  #chip(status) {
    const box = h('input', { type: 'checkbox', onchange: () => this.#submitted() });
    this.#statuses.set(status, box);
    const word = h('span', {}, strings.status[status]);
    // Its direction is fixed: a plus sign stands behind its number.
    this.#counts[status] = h('bdi', { class: 'number', dir: 'ltr' });
    return h('label', { class: 'chip', 'data-status': status }, box, icon(status), word, ' ', this.#counts[status]);
  }

  #submitted(event) {
    event?.preventDefault();
    const entries = Object.entries(this.#inputs).map(([name, input]) => [name, input.get(this.#filters[name])]);
    const values = Object.fromEntries(entries);
    values.status = [...this.#statuses].filter(([, box]) => box.checked).map(([status]) => status);
    const { state, ignored } = filtersOf(values);
    this.#apply(state.filters, ignored);
  }
}

/** A field with conversions in both directions: it may show a value less precisely than the URL. */
function inputOf(name, choices) {
  if (choices) return selectOf(choices);
  const type = MOMENTS.includes(name) ? 'datetime-local' : name === 'attemptsOver' ? 'number' : 'text';
  const attributes = { type, maxlength: LIMITS[name], min: type === 'number' && '0', max: type === 'number' && '9999' };
  const element = h('input', { ...attributes, autocomplete: 'off', spellcheck: 'false' });
  if (type !== 'datetime-local') {
    return {
      element,
      set: (value) => (element.value = value ?? ''),
      get: (known) => (element.value === known ? known : element.value.trim()),
    };
  }
  return {
    element,
    set: (value) => (element.value = toInput(value)),
    get: (known) => (element.value === toInput(known) ? (known ?? '') : fromInput(element.value)),
  };
}

function selectOf(choices) {
  const element = h('select', {});
  const option = (value, text = value) => h('option', { value }, text);
  const offer = (values) => element.replaceChildren(option('', texts.any), ...values.map((value) => option(value)));
  offer(choices);
  return {
    element,
    // The table may also hold jobs of kinds that no longer exist.
    set: (value = '') => {
      if (value && !choices.includes(value)) offer([...choices, value]);
      element.value = value;
    },
    get: () => element.value,
  };
}
