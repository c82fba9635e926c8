import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';

import { Bell } from './Bell.jsx';
import { BellByRef } from './BellByRef.jsx';

const root = createRoot(document.querySelector('#app'));

/** Render these bells in this order: `key`, `api`, `user`, and `byRef` where it is the other component. */
globalThis.show = async (...bells) =>
  flushSync(() =>
    root.render(bells.map(({ byRef, ...props }) => (byRef ? <BellByRef {...props} /> : <Bell {...props} />))));
