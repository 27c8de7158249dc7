import { createDirectus, realtime } from "@directus/sdk";
const directus = createDirectus<DirectusSchema>(
	"http://your-website-url/directus",
).with(realtime());
export default defineNuxtPlugin(() => {
	return {
		provide: { directus },
	};
});
