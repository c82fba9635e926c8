/**
 * Hides globals of the page while a script that is not a module starts: those that it would mistake for a module
 * loader, and the page's own `signalR`. Must be imported right before the script.
 */

const RESULT = 'signalR';
const NAMES = ['define', 'exports', 'module', RESULT];
// An element with such an id is visible as a global too, but it is not an own property of the page.
const kept = NAMES.map((name) => [name, Object.hasOwn(globalThis, name), globalThis[name]]);
for (const name of NAMES) globalThis[name] = undefined;

/** Restore the page's globals. Both imports run without interruption, so the page does not notice. */
export function restoreGlobals() {
  for (const [name, own, value] of kept) {
    if (own) globalThis[name] = value;
    else if (name !== RESULT) delete globalThis[name];
  }
}
