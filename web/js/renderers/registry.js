/** The registry of renderers: the view of each kind of job. */

// A Map, so that kinds may be named like properties of objects.
const renderers = new Map();
const warned = new Set();

/** @type {import('../types.d.ts').Renderer} */
const generic = {
  title: (job) => job.label || job.kind,
  request: (job, tools) => (job.request ? asJson(job.request, tools) : null),
  summary: null,
  result: ({ result }, tools) => {
    const { h, strings } = tools;
    return h('details', {}, h('summary', {}, h('span', {}, strings.job.result)), asJson(result, tools));
  },
  error: null,
};

/** @param {string} kind equals `JobRunner.kind` @param {import('../types.d.ts').Renderer} renderer */
export function register(kind, renderer) {
  renderers.set(kind, renderer);
}

/** The topic whose text is shown in the row of a job while it runs, if there is one. @param {string} kind */
export const streamOf = (kind) => renderers.get(kind)?.stream;

/**
 * Render one part of a job. A renderer that throws is reported once and replaced by the generic one.
 * @param {import('../types.d.ts').Job} job
 * @param {keyof import('../types.d.ts').Renderer} part
 * @param {import('../types.d.ts').Tools} tools
 * @returns {import('../types.d.ts').Content}
 */
export function render(job, part, tools) {
  const own = renderers.get(job.kind)?.[part];
  const argument = part === 'title' ? tools.strings : tools;
  if (own) {
    try {
      return checked(own(job, argument), part);
    } catch (error) {
      if (!warned.has(job.kind)) console.warn(`The renderer of ${job.kind} failed:`, error);
      warned.add(job.kind);
    }
  }
  return generic[part]?.(job, argument) ?? null;
}

/** Throws if the content cannot be displayed. */
function checked(content, part) {
  const isText = typeof content === 'string';
  const isPlain = part === 'title' || part === 'summary';
  if (isPlain ? isText && content : isText || !content || content.nodeType) return content || null;
  throw new TypeError(`${part} must be ${isPlain ? 'a text' : 'a node, a text or null'}`);
}

function asJson(value, { h, bdi, strings }) {
  const text = JSON.stringify(value, null, 2);
  return h('pre', { tabindex: '0', role: 'region', 'aria-label': strings.job.result }, bdi(text));
}
