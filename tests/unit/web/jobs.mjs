// Jobs and lists as the server sends them.

/** A job of version 1 that is pending; `fields` say what is different. */
export function job(id, fields = {}) {
  return {
    id,
    kind: 'packer',
    label: String(id),
    status: 'pending',
    version: 1,
    attempt: 0,
    maxAttempts: 3,
    progress: null,
    progressMessage: null,
    createdAt: '2026-06-01T00:00:00Z',
    startedAt: null,
    finishedAt: null,
    durationMs: null,
    availableAt: null,
    error: null,
    result: null,
    cancelRequested: false,
    paused: false,
    actions: [],
    seenAt: null,
    clearedAt: null,
    ...fields,
  };
}

export function snapshot(items, fields = {}) {
  return { items, unseen: 0, running: 0, more: false, nextBefore: null, serverTime: '2026-06-01T00:00:00Z', ...fields };
}

/** A token for this person; `claims` say what else is in it. */
export function jwt(sub, claims = {}) {
  const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return [encoded({ alg: 'HS256' }), encoded({ iss: 'issuer', sub, ...claims }), 'signature'].join('.');
}
