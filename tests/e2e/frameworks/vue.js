import { createApp, h, nextTick, shallowRef } from 'vue';

import Bell from './Bell.vue';

const shown = shallowRef([]);
createApp({ render: () => shown.value.map((props) => h(Bell, props)) }).mount('#app');

/** Render these bells in this order: `key`, `api`, `user`. */
globalThis.show = async (...bells) => {
  shown.value = bells;
  await nextTick();
};
