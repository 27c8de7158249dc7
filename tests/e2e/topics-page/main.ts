// The entry point that Nuxt would generate.
import { createApp } from 'vue';
import chat from './pages/chat.client.vue';

createApp(chat).mount('#__nuxt');
