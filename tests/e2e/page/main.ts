// The start order of Nuxt: the plugin first, then the page.
import './plugins/directus';
import { createApp } from 'vue';
import index from './pages/index.vue';

createApp(index).mount('#__nuxt');
