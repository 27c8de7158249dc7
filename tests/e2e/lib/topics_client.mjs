// A client of /_ws: within a test, or as a separate process (`node topics_client.mjs ORIGIN`), which prints a line once the
// server has counted it.
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { until, within } from './wait.mjs';

export class TopicsClient {
	/** The last state of each topic. */
	states = {};
	/** The number of pings received from the server. */
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

	/** Waits until the server reports this number of users. */
	users(count) {
		return until(() => this.states.session.users === count, `${count} users`, { ms: 30_000 });
	}

	/** Ends the connection without a close frame, but with TCP's FIN. */
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
