// The registry of renderers: a bad one harms nobody, an unknown kind is shown.

import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';

import { register, render } from '../../../web/js/renderers/registry.js';
import { strings } from '../../../web/js/strings.en.js';
import { job } from './jobs.mjs';

const tools = { h: (tag, properties, ...children) => ({ tag, children: children.flat() }), bdi: String, strings };

describe('the registry', () => {
  afterEach(() => mock.restoreAll());

  it('uses the renderer of the kind, part by part', () => {
    register('own', { title: ({ label }) => `Own ${label}` });
    assert.equal(render(job('x', { kind: 'own' }), 'title', tools), 'Own x');
    assert.equal(render(job('x', { kind: 'own' }), 'error', tools), null);
  });

  it('has a summary only as a text', () => {
    mock.method(console, 'warn', () => {});
    register('brief', { summary: () => '3 files' });
    register('long', { summary: () => ({ nodeType: 1 }) });
    assert.equal(render(job('x', { kind: 'brief' }), 'summary', tools), '3 files');
    assert.equal(render(job('x', { kind: 'long' }), 'summary', tools), null);
    assert.equal(render(job('x', { kind: 'none' }), 'summary', tools), null);
  });

  it('shows unknown kinds, whatever they are called', () => {
    for (const kind of ['unknown', '__proto__', 'constructor', 'toString']) {
      assert.equal(render(job('x', { kind, label: 'Label' }), 'title', tools), 'Label');
      assert.equal(render(job('x', { kind, result: { rows: 3 } }), 'result', tools).tag, 'details');
    }
    assert.equal(render(job('x', { kind: 'unknown', label: '' }), 'title', tools), 'unknown');
  });

  it('replaces a renderer that throws, and says so once', () => {
    const warn = mock.method(console, 'warn', () => {});
    const broken = () => {
      throw new Error('broken');
    };
    register('bad', { title: broken, result: broken });
    for (let time = 0; time < 3; time += 1) {
      assert.equal(render(job('x', { kind: 'bad' }), 'title', tools), 'x');
      assert.equal(render(job('x', { kind: 'bad', result: {} }), 'result', tools).tag, 'details');
    }
    assert.equal(warn.mock.callCount(), 1);
  });

  it('replaces what cannot be shown', () => {
    const warn = mock.method(console, 'warn', () => {});
    register('odd', { title: () => undefined, result: async () => 'late', error: () => ({}) });
    assert.equal(render(job('x', { kind: 'odd' }), 'title', tools), 'x');
    assert.equal(render(job('x', { kind: 'odd', result: {} }), 'result', tools).tag, 'details');
    assert.equal(render(job('x', { kind: 'odd' }), 'error', tools), null);
    assert.equal(warn.mock.callCount(), 1);
  });
});
