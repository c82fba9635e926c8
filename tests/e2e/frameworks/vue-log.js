import { createApp, h, nextTick, shallowRef } from 'vue';

import JobLog from './JobLog.vue';

const shown = shallowRef([]);
const getToken = () => globalThis.token;
createApp({ render: () => shown.value.map((id, key) => h(JobLog, { key, id, getToken })) }).mount('#app');

/** Follow these jobs. */
globalThis.show = async (...ids) => {
  shown.value = ids;
  await nextTick();
};
