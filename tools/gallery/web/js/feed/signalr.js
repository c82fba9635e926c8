/** A hub that pushes nothing: connected at once, or never. */

export const openHub = () => ({
  onclose() {},
  start: () => (globalThis.gallery?.isOffline ? Promise.reject(new Error('off')) : Promise.resolve()),
  stop: () => Promise.resolve(),
});
