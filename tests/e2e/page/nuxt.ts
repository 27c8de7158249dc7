// The two functions of Nuxt that the tutorial's code calls.
type Plugin = () => { provide: Record<string, unknown> };

const provided: Record<string, unknown> = {};

export const defineNuxtPlugin = (plugin: Plugin) => {
	for (const [name, value] of Object.entries(plugin().provide)) provided[`$${name}`] = value;
};

export const useNuxtApp = () => provided as any;
