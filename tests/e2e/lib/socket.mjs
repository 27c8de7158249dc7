// A raw client of /websocket that records every frame and answers the heartbeat. For tests of the protocol itself; tests of
// user behaviour run the SDK in a browser.
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { keepError, keepSecretsOf } from './evidence.mjs';
import { until, within } from './wait.mjs';

export class Socket {
	constructor(origin) {
		this.frames = [];
		this.listeners = new Set();
		this.closed = null;
		this.ws = new WebSocket(`${origin.replace(/^http/, 'ws')}/websocket`, { perMessageDeflate: false });
		this.opened = new Promise((resolve, reject) => {
			this.ws.once('open', () => resolve(this));
			this.ws.once('error', reject);
		});
		this.opened.catch(() => {});
		this.ended = new Promise((resolve) => {
			this.ws.once('close', (code, reason) => {
				this.closed = { code, reason: reason.toString() };
				resolve(this.closed);
			});
		});
		this.ws.on('error', () => {});
		this.ws.on('message', (bytes) => {
			const frame = JSON.parse(bytes.toString());
			if (frame.type === 'ping') return this.ws.send('{"type":"pong"}');
			keepSecretsOf(frame);
			if (frame.status === 'error') keepError(JSON.stringify(frame));
			this.frames.push(frame);
			for (const listener of this.listeners) listener(frame);
		});
	}

	/** Opens a socket, and signs in if there are credentials (`{ email, password }`, `{ access_token }`, …). */
	static async open(origin, credentials) {
		const socket = new Socket(origin);
		await within(socket.opened, 'the socket to open');
		if (credentials) {
			socket.send({ type: 'auth', ...credentials });
			const answer = await socket.take((frame) => frame.type === 'auth', 'the answer to auth');
			assert.equal(answer.status, 'ok', `auth was refused: ${JSON.stringify(answer)}`);
		}
		return socket;
	}

	onFrame(listener) {
		this.listeners.add(listener);
	}

	send(frame) {
		keepSecretsOf(frame);
		this.ws.send(JSON.stringify(frame));
	}

	/** Removes and returns the first matching frame, waiting for it if necessary. */
	async take(fits, what, ms = 8_000) {
		return until(
			() => {
				const index = this.frames.findIndex(fits);
				if (index >= 0) return this.frames.splice(index, 1)[0];
				assert.equal(this.closed, null, `the socket is closed; frames: ${JSON.stringify(this.frames).slice(0, 800)}`);
				assert.fail(`frames here: ${JSON.stringify(this.frames).slice(0, 800)}`);
			},
			what,
			{ ms, every: 5 },
		);
	}

	/** The next frame from now on. */
	next() {
		return new Promise((resolve) => {
			const listener = (frame) => {
				this.listeners.delete(listener);
				resolve(frame);
			};
			this.listeners.add(listener);
		});
	}

	/** Sends a request with a uid and returns its answer. */
	async ask(frame, uid = `ask-${Math.random().toString(36).slice(2)}`) {
		this.send({ ...frame, uid });
		return this.take((answer) => answer.uid === uid || (answer.status === 'error' && answer.uid === undefined), `the answer to ${JSON.stringify(frame)}`);
	}

	/** Subscribes to creates, and returns once the server has confirmed that. */
	async subscribe(fields = ['id', 'content']) {
		const answer = await this.ask({ type: 'subscribe', collection: 'messages', event: 'create', query: { fields } });
		assert.equal(answer.event, 'init', `the subscription was refused: ${JSON.stringify(answer)}`);
	}

	close() {
		this.ws.terminate();
	}
}
