// A keep-alive HTTP connection with raw bytes. It shows the effect of closing a connection at the wrong moment, which
// libraries hide by retrying.
import assert from 'node:assert/strict';
import net from 'node:net';

export class Kept {
	#socket;
	#received = '';
	#waiting = null;

	/** Connects, and waits until the server accepts the connection. */
	static async open({ port, token }) {
		const kept = new Kept();
		kept.token = token;
		kept.#socket = net.connect(port, '127.0.0.1');
		kept.#socket.setEncoding('utf8').on('data', (text) => {
			kept.#received += text;
			kept.#look();
		});
		kept.#socket.on('error', () => {}).on('close', () => {
			kept.#waiting?.reject(new Error(`a request was cut: ${kept.#waiting.what}, ${JSON.stringify(kept.#received)}`));
		});
		await new Promise((resolve, reject) => kept.#socket.once('connect', resolve).once('error', reject));
		return kept;
	}

	/** Creates a message. Returns the stored row, and whether the server closes this connection. */
	post(content) {
		assert.equal(this.#waiting, null);
		const body = JSON.stringify({ content });
		return new Promise((resolve, reject) => {
			this.#waiting = { resolve, reject, what: content };
			const head = ['POST /items/messages HTTP/1.1', 'host: x', `authorization: Bearer ${this.token}`, 'content-type: application/json', `content-length: ${body.length}`];
			this.#socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
		});
	}

	close() {
		this.#socket.destroy();
	}

	#look() {
		const [head, body] = this.#received.split('\r\n\r\n');
		const length = /^content-length: (\d+)/im.exec(head)?.[1];
		if (body === undefined || this.#waiting === null || Buffer.byteLength(body) < Number(length)) return;
		const { resolve } = this.#waiting;
		this.#waiting = null;
		this.#received = '';
		resolve({ status: Number(head.split(' ')[1]), data: JSON.parse(body).data, closes: /^connection: close/im.test(head) });
	}
}
