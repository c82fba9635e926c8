import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';

import { JobLog } from './JobLog.jsx';

const root = createRoot(document.querySelector('#app'));
const getToken = () => globalThis.token;

/** Follow these jobs. */
globalThis.show = async (...ids) => flushSync(() => root.render(ids.map((id, index) => <JobLog key={index} id={id} getToken={getToken} />)));
