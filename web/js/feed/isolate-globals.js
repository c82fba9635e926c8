/**
 * Hides what belongs to the page while a script that is not a module starts: what it would take for its loader, and a
 * `signalR` of the page's own. To be imported right before it.
 */

const RESULT = 'signalR';
const NAMES = ['define', 'exports', 'module', RESULT];
// An element with such an id shows up as a global too, but it is not the page's own property.
const kept = NAMES.map((name) => [name, Object.hasOwn(globalThis, name), globalThis[name]]);
for (const name of NAMES) globalThis[name] = undefined;

/** Put back what is the page's. Both imports run in one go, so the page has not missed it. */
export function restoreGlobals() {
  for (const [name, own, value] of kept) {
    if (own) globalThis[name] = value;
    else if (name !== RESULT) delete globalThis[name];
  }
}
