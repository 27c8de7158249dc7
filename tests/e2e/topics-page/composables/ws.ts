// `useWS` with the interface of nuxt-ws 0.0.2, which is not in the registry: the same calls of `useWebSocket` with the same
// options, the same frames, and the same rule for turning frames into states. `route` and the default topic are those of the
// example's nuxt.config.ts.
import { type UseWebSocketOptions, useWebSocket } from '@vueuse/core';
import { reactive, ref } from 'vue';

const ROUTE = '/_ws';
const DEFAULTS = { session: {} };

type Topics = Record<string, unknown>;

export function useWS<T extends Topics>(topics: (keyof T & string)[] = [], options: UseWebSocketOptions & { query?: Record<string, string> } = {}) {
	const { query, ...rest } = options;
	const states = reactive<Topics>({ ...DEFAULTS, ...Object.fromEntries(topics.map((topic) => [topic, undefined])) });
	const data = ref<unknown>(null);
	const address = new URL(ROUTE, location.href);
	address.protocol = address.protocol.replace('http', 'ws');
	address.search = new URLSearchParams(query).toString();

	const socket = useWebSocket(address.href, {
		// A lost connection is not reopened unless the page asks for it.
		autoConnect: false,
		...rest,
		onMessage(_, { data: text }) {
			let frame: unknown;
			try {
				frame = JSON.parse(text);
			} catch {
				frame = text;
			}
			if (frame !== null && typeof frame === 'object' && 'topic' in frame && 'payload' in frame) states[frame.topic as string] = frame.payload;
			else data.value = text;
		},
	});
	const send = (type: string, topic: string, payload?: unknown) => socket.send(JSON.stringify({ type, topic, payload }), true);
	for (const topic of topics) send('subscribe', topic);
	return { states: states as { [K in keyof T]: T[K] }, status: socket.status, data, send, open: socket.open, close: socket.close };
}
