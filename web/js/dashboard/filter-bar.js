/** The form above the list. It displays and changes the filters in the URL. */

import { details, h, icon } from '../dom.js';
import { strings } from '../strings.en.js';
import { FILTERS, STATUSES, filtersOf } from './url-state.js';
import { button } from './widgets.js';
import { words } from './strings.en.js';
import { fromInput, toInput } from './time-format.js';

const texts = words.filters;
const MOMENTS = ['from', 'to'];
/** Always visible; the other fields would cover the list on a small screen. */
const FIRST = matchMedia('(width <= 48rem)').matches ? ['text'] : ['text', 'kind', 'user', 'error'];
const LIMITS = { text: 200, user: 200, error: 200, id: 36 };

export class FilterBar {
  #filters = {};
  #statuses = new Map();
  #inputs = {};
  #more = details(texts.more, { class: 'more' });
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
    const fields = (names) => names.map(field);
    const chips = STATUSES.map((status) => this.#chip(status));
    this.#more.append(
      h('div', { class: 'fields' }, ...fields(FILTERS.filter((name) => !FIRST.includes(name)))),
      h('p', { class: 'muted' }, texts.local),
    );
    this.element = h(
      'form',
      { class: 'filters', role: 'search', 'aria-label': texts.label, onsubmit: (event) => this.#submitted(event) },
      h('fieldset', { class: 'chips' }, h('legend', { class: 'sr-only' }, texts.status), ...chips),
      h(
        'div',
        { class: 'first' },
        h('div', { class: 'fields' }, ...fields(FIRST)),
        h('button', { type: 'submit', class: 'primary' }, texts.apply),
        this.#clear,
      ),
      this.#more,
    );
  }

  /** @param {import('../types.d.ts').Filters} filters */
  show(filters) {
    this.#filters = filters;
    for (const [status, box] of this.#statuses) box.checked = filters.status?.includes(status) ?? false;
    for (const [name, input] of Object.entries(this.#inputs)) input.set(filters[name]);
    this.#clear.hidden = Object.keys(filters).length === 0;
    const hidden = Object.keys(filters).some((name) => name !== 'status' && !FIRST.includes(name));
    if (hidden) this.#more.open = true;
  }

  #chip(status) {
    const box = h('input', { type: 'checkbox', onchange: () => this.#submitted() });
    this.#statuses.set(status, box);
    const word = h('span', {}, strings.status[status]);
    return h('label', { class: 'chip', 'data-status': status }, box, icon(status), word);
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
