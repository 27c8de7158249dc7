// A network between browser and server on the loopback interface, with the faults of real ones: connections that are closed
// (FIN), reset (RST), accepted and left hanging, or silently frozen, and no network at all.
import { once } from 'node:events';
import net from 'node:net';

export class Proxy {
	#pairs = new Set();
	#waiting = [];
	#stalled = false;

	static async start(targetPort) {
		const proxy = new Proxy();
		proxy.targetPort = targetPort;
		await proxy.up();
		return proxy;
	}

	get origin() {
		return `http://127.0.0.1:${this.port}`;
	}

	/** The number of accepted connections that hang. */
	get waiting() {
		return this.#waiting.length;
	}

	/** Closes every connection like an exiting process: FIN after pending data. */
	cut() {
		for (const { client, upstream } of this.#pairs) {
			client.end();
			upstream.destroy();
		}
	}

	/** Resets every connection: RST. */
	reset() {
		for (const { client, upstream } of this.#pairs) {
			client.resetAndDestroy();
			upstream.destroy();
		}
	}

	/** Stops the data flow on the current connections without notifying either side, like a pulled cable. */
	freeze() {
		for (const { client, upstream } of this.#pairs) {
			client.unpipe(upstream).pause();
			upstream.unpipe(client).pause();
		}
	}

	/** Lets new connections hang after accepting them. */
	stall() {
		this.#stalled = true;
	}

	/** Resumes the data flow, hanging connections first. */
	pass() {
		this.#stalled = false;
		for (const client of this.#waiting.splice(0)) this.#relay(client);
	}

	/** Takes the network down: connections are reset, new ones refused. */
	async down() {
		const closed = once(this.listener, 'close');
		this.listener.close();
		this.reset();
		await closed;
	}

	async up() {
		this.listener = net.createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (client) => {
			client.on('error', () => {});
			if (this.#stalled) this.#waiting.push(client);
			else this.#relay(client);
		});
		this.listener.listen(this.port ?? 0, '127.0.0.1');
		await once(this.listener, 'listening');
		this.port = this.listener.address().port;
	}

	async stop() {
		for (const client of this.#waiting.splice(0)) client.destroy();
		if (this.listener.listening) await this.down();
	}

	#relay(client) {
		const upstream = net.connect({ port: this.targetPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
		const pair = { client, upstream };
		this.#pairs.add(pair);
		const forget = () => {
			this.#pairs.delete(pair);
			client.destroy();
			upstream.destroy();
		};
		upstream.once('error', () => client.resetAndDestroy());
		client.once('close', forget);
		upstream.once('close', () => {
			// The server's last bytes still have to reach the browser.
			if (client.writableEnded && client.writableFinished) forget();
			else client.end(forget);
		});
		client.pipe(upstream);
		upstream.pipe(client);
	}
}
