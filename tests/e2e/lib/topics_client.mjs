// A client of /_ws: within a test, or as a process of its own (`node topics_client.mjs ORIGIN`), which says so on its
// standard output once it is counted.
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { until, within } from './wait.mjs';

export class TopicsClient {
	/** What each topic was last said to be. */
	states = {};
	/** How often the server has asked for a sign of life. */
	beats = 0;

	static async open(origin) {
		const client = new TopicsClient();
		client.ws = new WebSocket(`${origin.replace(/^http/, 'ws')}/_ws`, { perMessageDeflate: false });
		client.ws.on('error', () => {});
		client.ws.on('ping', () => (client.beats += 1));
		client.ws.on('message', (bytes) => {
			const { topic, payload } = JSON.parse(bytes.toString());
			if (topic) client.states[topic] = payload;
		});
		await within(new Promise((resolve) => client.ws.once('open', resolve)), 'the socket to open');
		await until(() => client.states.session, 'the count');
		return client;
	}

	say(type, topic, payload) {
		this.ws.send(JSON.stringify({ type, topic, payload }));
	}

	/** Waits until so many are said to be here. */
	users(count) {
		return until(() => this.states.session.users === count, `${count} users`, { ms: 30_000 });
	}

	/** Ends the connection without a word to the server, but with the end of TCP. */
	close() {
		this.ws.terminate();
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const client = await TopicsClient.open(process.argv[2]);
	client.say('subscribe', 'chat');
	client.say('publish', 'typing');
	process.stdout.write('counted\n');
}
