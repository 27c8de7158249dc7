// What Nuxt starts.
import { createApp } from 'vue';
import chat from './pages/chat.client.vue';

createApp(chat).mount('#__nuxt');
